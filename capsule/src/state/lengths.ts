/** How long the lists of a page were, kept beside its step of the history. */

import { left } from "./router";

const MOST_PAGES = 10;

/** How many pages of this list are read at first: as many as when it was left. */
export const keptPages = (list: string): number => Math.min(left().pages?.[list] ?? 1, MOST_PAGES);

export function keepPages(list: string, pages: number): void {
  if (pages !== keptPages(list)) history.replaceState({ ...left(), pages: { ...left().pages, [list]: pages } }, "");
}
