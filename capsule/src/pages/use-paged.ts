/** A paged list of a page: its shown items, and why they may be old. */

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
 * `read` and `key` are those of the last change of `asked`: another question is another list, which is empty until its first answer.
 *
 * A list keeps its length when the user returns or reloads the page.
 */
export function usePaged<T, P extends Page<T>>(read: (cursor?: string) => Promise<P>, key: (item: T) => string, question: readonly unknown[]): PagedState<T, P> {
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
