/** Runs one action for many items, a few at a time. */

import { ApiError } from "../wire/http";

export interface BulkResult<T> {
  done: T[];
  failed: { one: T; error: ApiError }[];
  /** Items that were not started because the run ended before. */
  left: T[];
}

interface BulkOptions<T> {
  /** The first item runs alone: if it needs the password, the answer holds for the others. */
  alone?: boolean;
  /** Called after each item with the number of finished ones. */
  onProgress?: (through: number) => void;
  /** Called before each item with the result so far. True stops the run, which waits for the items under way. */
  over?: (soFar: BulkResult<T>) => boolean;
}

/** Refusals are part of the result; any other error is thrown. */
export async function forEachLimited<T>(things: readonly T[], atOnce: number, act: (one: T) => Promise<unknown>, { alone = false, onProgress, over }: BulkOptions<T> = {}): Promise<BulkResult<T>> {
  const result: BulkResult<T> = { done: [], failed: [], left: [] };
  let next = 0;
  const goesOn = (): boolean => next < things.length && !over?.(result);
  const step = async (): Promise<void> => {
    const one = things[next++] as T;
    try {
      await act(one);
      result.done.push(one);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      result.failed.push({ one, error });
    }
    onProgress?.(result.done.length + result.failed.length);
  };
  const work = async (): Promise<void> => {
    while (goesOn()) await step();
  };
  if (alone && goesOn()) await step();
  await Promise.all(Array.from({ length: Math.min(atOnce, things.length) }, work));
  result.left = things.slice(next);
  return result;
}

/** Whether the user was refused and not the item: then all items would be refused. */
export const isRefusal = ({ code }: ApiError): boolean => code.startsWith("auth.");
