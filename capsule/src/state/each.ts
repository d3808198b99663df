/** The same act for many things, a few at a time. */

import { ApiError } from "../wire/http";

export interface Outcome<T> {
  done: T[];
  failed: { one: T; error: ApiError }[];
}

/** `told` hears after each one how many are through. What is refused is in the outcome; anything else that goes wrong is thrown. */
export async function each<T>(things: readonly T[], atOnce: number, act: (one: T) => Promise<unknown>, told: (through: number) => void = () => undefined): Promise<Outcome<T>> {
  const outcome: Outcome<T> = { done: [], failed: [] };
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < things.length) {
      const one = things[next++] as T;
      try {
        await act(one);
        outcome.done.push(one);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        outcome.failed.push({ one, error });
      }
      told(outcome.done.length + outcome.failed.length);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, things.length) }, work));
  return outcome;
}
