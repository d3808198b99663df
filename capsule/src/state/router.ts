/**
 * The URL holds the state of the page: a signal has its path and query, and functions change it. The history entry also stores the scroll
 * position and the length of lists.
 */

import { signal } from "@preact/signals";

export interface PageUrl {
  path: string;
  query: URLSearchParams;
}

/** The scroll position is saved this long after the last scroll. */
const SETTLE_MS = 150;
/** How long a restored scroll position waits for the page to become long enough. */
const PATIENCE_MS = 3000;

/** The state of a history entry. */
interface HistoryEntry {
  /** The number of the entry; an entry without one is new. */
  step?: number;
  y?: number;
  /** The number of loaded pages for each list. */
  pages?: Readonly<Record<string, number>>;
}

export const historyState = (): HistoryEntry => (history.state as HistoryEntry | null) ?? {};

const read = (): PageUrl => ({ path: location.pathname, query: new URLSearchParams(location.search) });

export const pageUrl = signal<PageUrl>(read());

// The browser would restore the scroll position before the page is long enough.
history.scrollRestoration = "manual";
let step = historyState().step ?? 0;
let scrollTimer: ReturnType<typeof setTimeout> | undefined;
/** Grows to cancel the restoration of a scroll position. */
let restoration = 0;

const saveScroll = (): void => {
  clearTimeout(scrollTimer);
  history.replaceState({ ...historyState(), y: scrollY, step }, "");
};

/** Restores the scroll position as soon as the page is long enough. A key, a wheel turn or a pointer press of the user cancels it, and so does `PATIENCE_MS`. */
function restoreScroll(): void {
  const { y } = historyState();
  const mine = ++restoration;
  const until = performance.now() + PATIENCE_MS;
  const attempt = (): void => {
    if (mine !== restoration) return;
    if (y === undefined || document.documentElement.scrollHeight >= y + innerHeight) scrollTo(0, y ?? 0);
    else if (performance.now() < until) requestAnimationFrame(attempt);
  };
  requestAnimationFrame(() => requestAnimationFrame(attempt)); // the page of the new path is drawn first
}

for (const kind of ["wheel", "keydown", "pointerdown"]) addEventListener(kind, () => (restoration += 1), { passive: true, capture: true });
addEventListener(
  "scroll",
  () => {
    clearTimeout(scrollTimer);
    scrollTimer = setTimeout(saveScroll, SETTLE_MS);
  },
  { passive: true },
);
addEventListener("pagehide", saveScroll);
addEventListener("popstate", async () => {
  clearTimeout(scrollTimer);
  const to = historyState().step ?? step + 1;
  if (to === step) return; // `history.go` below has returned to the entry of the shown page
  // A dialog belongs to the page that is left, so it is closed as by Esc. A dialog whose request is running stays open for the answer.
  for (const one of document.querySelectorAll("dialog:not(:has(button[aria-busy]))")) one.dispatchEvent(new Event("cancel"));
  await null; // the dialog is removed
  // If the page changed, an open dialog that is part of it would be lost. So the page stays.
  if (document.querySelector("main dialog")) return history.go(step - to);
  step = to;
  pageUrl.value = read();
  restoreScroll();
});
restoreScroll();

/** Opens a path of the page; `replace` adds no history entry. */
export function go(target: string, { replace = false }: { replace?: boolean } = {}): void {
  if (target === location.pathname + location.search) return;
  const before = location.pathname;
  if (!replace) saveScroll();
  history[replace ? "replaceState" : "pushState"](replace ? history.state : { step: ++step }, "", target);
  pageUrl.value = read();
  if (location.pathname !== before) {
    restoration += 1;
    scrollTo(0, 0);
  }
}

type Changes = Readonly<Record<string, string | readonly string[] | null>>;

/** The path and query of this page with changed parameters; null or an empty text removes one, and a list becomes repeated parameters. */
export function withQuery(changes: Changes, from = pageUrl.value): string {
  const query = new URLSearchParams(from.query);
  for (const [name, value] of Object.entries(changes)) {
    query.delete(name);
    for (const one of typeof value === "string" ? [value] : (value ?? [])) if (one) query.append(name, one);
  }
  const text = query.toString();
  return from.path + (text ? `?${text}` : "");
}

/** Changes the query without a history entry. */
export const setQuery = (changes: Changes): void => go(withQuery(changes, pageUrl.peek()), { replace: true });

// A plain click on a link to a path of the page changes the URL without a reload.
document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin || link.pathname.startsWith("/api/")) return;
  if (link.getAttribute("href")?.startsWith("#")) return;
  event.preventDefault();
  go(link.pathname + link.search);
});

const MOST_PAGES = 10;

/** The number of pages to load first: as many as the list had when it was left, at most `MOST_PAGES`. */
export const savedPages = (list: string): number => Math.min(historyState().pages?.[list] ?? 1, MOST_PAGES);

export function savePages(list: string, pages: number): void {
  if (pages !== savedPages(list)) history.replaceState({ ...historyState(), pages: { ...historyState().pages, [list]: pages } }, "");
}
