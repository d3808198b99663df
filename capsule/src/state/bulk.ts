/** The same act for many things, a few at a time. */

import { ApiError } from "../wire/http";

export interface BulkResult<T> {
  done: T[];
  failed: { one: T; error: ApiError }[];
  /** Not begun: it was over before. */
  left: T[];
}

interface Course<T> {
  /** The first one goes alone: what it is asked for (the password, say) holds for the others. */
  alone?: boolean;
  /** Hears after each one how many are through. */
  told?: (through: number) => void;
  /** Asked before each one begins, with what has come so far; true = no other one begins, and those under way are waited for. */
  over?: (soFar: BulkResult<T>) => boolean;
}

/** What is refused is in the outcome; anything else that goes wrong is thrown. */
export async function forEachLimited<T>(things: readonly T[], atOnce: number, act: (one: T) => Promise<unknown>, { alone = false, told, over }: Course<T> = {}): Promise<BulkResult<T>> {
  const outcome: BulkResult<T> = { done: [], failed: [], left: [] };
  let next = 0;
  const goesOn = (): boolean => next < things.length && !over?.(outcome);
  const step = async (): Promise<void> => {
    const one = things[next++] as T;
    try {
      await act(one);
      outcome.done.push(one);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      outcome.failed.push({ one, error });
    }
    told?.(outcome.done.length + outcome.failed.length);
  };
  const work = async (): Promise<void> => {
    while (goesOn()) await step();
  };
  if (alone && goesOn()) await step();
  await Promise.all(Array.from({ length: Math.min(atOnce, things.length) }, work));
  outcome.left = things.slice(next);
  return outcome;
}

/** Whether somebody was refused, not one of the things: the others would be refused as well. */
export const isRefusal = ({ code }: ApiError): boolean => code.startsWith("auth.");
