/** Live topics that the hub refuses: some refusals are final; after all others the page subscribes again. */

import { backoff, LONGEST_S } from "./backoff";

/** The codes of final refusals, with their HTTP status: the topic does not exist, or this account may not see it. */
const FINAL_REFUSALS: Readonly<Record<string, number>> = { not_found: 404, "auth.forbidden": 403 };
const TEMPORARY_STATUS = 503;

/** The HTTP status with which REST refuses for the same reason. */
export const refusalStatus = (code: string): number => (isFinalRefusal(code) ? (FINAL_REFUSALS[code] as number) : TEMPORARY_STATUS);
export const isFinalRefusal = (code: string): boolean => Object.hasOwn(FINAL_REFUSALS, code);

/** The wait after each refusal. It grows, and starts again at its minimum after a long time without a refusal. */
export class TopicRetry {
  #attempt = 0;
  #at = -Infinity;

  /** The wait in seconds. `at` is the time of the refusal in seconds, `random` is in [0, 1). */
  next(at: number, random: number): number {
    if (at - this.#at > 2 * LONGEST_S) this.#attempt = 0;
    this.#at = at;
    const wait = backoff(this.#attempt, random);
    this.#attempt += 1;
    return wait;
  }
}
