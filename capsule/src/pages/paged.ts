/** A list of a page that is read page by page: what is shown of it, and why it may be old. */

import { useEffect, useMemo, useState } from "preact/hooks";
import { Paged, type Page } from "../core/paged";
import { ApiError } from "../state/types";

interface Shown<T, P extends Page<T>> {
  list: Paged<T, P>;
  found: P | null;
  failure: ApiError | null;
}

/** `read` and `key` are those of when one of `asked` changed last: another question is another list. */
export function usePaged<T, P extends Page<T>>(read: (cursor?: string) => Promise<P>, key: (item: T) => string, asked: readonly unknown[]): Shown<T, P> {
  const [found, setFound] = useState<P | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const list = useMemo(
    () =>
      new Paged<T, P>(
        read,
        key,
        (all) => {
          setFound(all);
          setFailure(null);
        },
        (error) => {
          if (!(error instanceof ApiError)) throw error;
          setFailure(error);
        },
      ),
    asked,
  );
  useEffect(() => () => list.close(), [list]);
  return { list, found, failure };
}
