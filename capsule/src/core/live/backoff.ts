/** Waits between attempts to connect: 0.5, 1, 2, 4, 8, 15, 15 … seconds. Each wait has jitter, so that pages do not reconnect at the same time. */

export const FIRST_S = 0.5;
export const LONGEST_S = 15;

/** The wait in seconds after so many failed attempts: between half the step and the whole step, by `random` in [0, 1). */
export function backoff(attempt: number, random: number): number {
  const step = Math.min(LONGEST_S, FIRST_S * 2 ** Math.min(attempt, 10));
  return step * (0.5 + random / 2);
}
