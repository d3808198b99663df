/** How long the lists of a page were, kept beside its step of the history. */

import { historyState } from "./router";

const MOST_PAGES = 10;

/** How many pages of this list are read at first: as many as when it was left. */
export const savedPages = (list: string): number => Math.min(historyState().pages?.[list] ?? 1, MOST_PAGES);

export function savePages(list: string, pages: number): void {
  if (pages !== savedPages(list)) history.replaceState({ ...historyState(), pages: { ...historyState().pages, [list]: pages } }, "");
}
