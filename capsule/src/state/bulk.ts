/** Runs one action for many items, a few at a time. */

import { ApiError } from "../wire/http";

export interface BulkResult<T> {
  done: T[];
  failed: { one: T; error: ApiError }[];
  /** Items that were not started because the run was stopped. */
  left: T[];
}

interface BulkOptions<T> {
  /** Whether the first item runs alone: if it needs the password, the user enters it once for all items. */
  alone?: boolean;
  /** Called after each item with the number of finished items. */
  onProgress?: (finished: number) => void;
  /** Called before each item with the result so far. If it returns true, no further item starts. */
  stopIf?: (soFar: BulkResult<T>) => boolean;
}

/** Runs `act` for all items, at most `limit` at the same time. An ApiError is part of the result; any other error is thrown. */
export async function forEachLimited<T>(
  things: readonly T[],
  limit: number,
  act: (one: T) => Promise<unknown>,
  { alone = false, onProgress, stopIf }: BulkOptions<T> = {},
): Promise<BulkResult<T>> {
  const result: BulkResult<T> = { done: [], failed: [], left: [] };
  let next = 0;
  const mayStart = (): boolean => next < things.length && !stopIf?.(result);
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
    while (mayStart()) await step();
  };
  if (alone && mayStart()) await step();
  await Promise.all(Array.from({ length: Math.min(limit, things.length) }, work));
  result.left = things.slice(next);
  return result;
}

/** Whether an error concerns the user and not the item: the hub would refuse all other items too. */
export const concernsUser = ({ code }: ApiError): boolean => code.startsWith("auth.");
