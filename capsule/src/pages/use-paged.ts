/** Lists that are loaded page by page. */

import { useEffect, useMemo, useState } from "preact/hooks";
import { PagedList, type Page } from "../core/live/paged-list";
import { savePages, savedPages } from "../state/router";
import { ApiError } from "../state/types";

interface PagedState<T, P extends Page<T>> {
  list: PagedList<T, P>;
  found: P | null;
  failure: ApiError | null;
}

/**
 * A paged list. When `question` changes, a new list starts with the current `read` and `key`, and is empty until its first answer.
 *
 * The list keeps its length when the user returns to the page or reloads it. `failure` is the last error: then the items may be old.
 */
export function usePaged<T, P extends Page<T>>(
  read: (cursor?: string) => Promise<P>,
  key: (item: T) => string,
  question: readonly unknown[],
): PagedState<T, P> {
  const [shown, setShown] = useState<PagedState<T, P> | null>(null);
  const name = question.map(String).join(" ");
  const list = useMemo(() => {
    const made = new PagedList<T, P>(
      read,
      key,
      (found) => setShown({ list: made, found, failure: null }),
      (failure) => {
        if (!(failure instanceof ApiError)) throw failure;
        setShown((before) => ({ list: made, found: before?.list === made ? before.found : null, failure }));
      },
      savedPages(name),
    );
    return made;
  }, question);
  useEffect(() => () => list.close(), [list]);
  const { pages } = list;
  useEffect(() => {
    if (pages) savePages(name, pages);
  }, [list, pages]);
  return shown?.list === list ? shown : { list, found: null, failure: null };
}
