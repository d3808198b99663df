/** The URL is the state: one signal of path and query, and the way to change it. How far a page was scrolled is kept beside it, and how long its lists were (`list-lengths.ts`). */

import { signal } from "@preact/signals";

export interface PageUrl {
  path: string;
  query: URLSearchParams;
}

const SETTLE_MS = 150;
const PATIENCE_MS = 3000;

/** What stands beside a step of the history. */
interface HistoryEntry {
  /** Which one it is; one without is new. */
  step?: number;
  y?: number;
  /** Of each list: in how many pages it was read. */
  pages?: Readonly<Record<string, number>>;
}

export const historyState = (): HistoryEntry => (history.state as HistoryEntry | null) ?? {};

const read = (): PageUrl => ({ path: location.pathname, query: new URLSearchParams(location.search) });

export const pageUrl = signal<PageUrl>(read());

/** The browser would scroll before there is anything to scroll in. */
history.scrollRestoration = "manual";
let step = historyState().step ?? 0;
let settling: ReturnType<typeof setTimeout> | undefined;
let aiming = 0;

const keep = (): void => {
  clearTimeout(settling);
  history.replaceState({ ...historyState(), y: scrollY, step }, "");
};

/** Goes to where this page was left, as soon as it is long enough, unless somebody scrolls meanwhile. */
function aim(): void {
  const { y } = historyState();
  const mine = ++aiming;
  const until = performance.now() + PATIENCE_MS;
  const step = (): void => {
    if (mine !== aiming) return;
    if (y === undefined || document.documentElement.scrollHeight >= y + innerHeight) scrollTo(0, y ?? 0);
    else if (performance.now() < until) requestAnimationFrame(step);
  };
  requestAnimationFrame(() => requestAnimationFrame(step)); // the other page is drawn first
}

for (const kind of ["wheel", "keydown", "pointerdown"]) addEventListener(kind, () => (aiming += 1), { passive: true, capture: true });
addEventListener("scroll", () => {
  clearTimeout(settling);
  settling = setTimeout(keep, SETTLE_MS);
}, { passive: true });
addEventListener("pagehide", keep);
addEventListener("popstate", async () => {
  clearTimeout(settling);
  const to = historyState().step ?? step + 1;
  if (to === step) return; // put back
  // As by Esc: a dialog belongs to the page beneath it. One that is being sent stays for its answer.
  for (const one of document.querySelectorAll("dialog:not(:has(button[aria-busy]))")) one.dispatchEvent(new Event("cancel"));
  await null; // it is drawn away
  // One of the page itself that stays would go with it: the page stays as well.
  if (document.querySelector("main dialog")) return history.go(step - to);
  step = to;
  pageUrl.value = read();
  aim();
});
aim();

/** Goes to a path of the page; `replace` leaves no step to go back to. */
export function go(target: string, { replace = false }: { replace?: boolean } = {}): void {
  if (target === location.pathname + location.search) return;
  const before = location.pathname;
  if (!replace) keep();
  history[replace ? "replaceState" : "pushState"](replace ? history.state : { step: ++step }, "", target);
  pageUrl.value = read();
  if (location.pathname !== before) {
    aiming += 1;
    scrollTo(0, 0);
  }
}

type Changes = Readonly<Record<string, string | readonly string[] | null>>;

/** This page with parts of its query set or removed; a list stands there one by one. */
export function withQuery(changes: Changes, from = pageUrl.value): string {
  const query = new URLSearchParams(from.query);
  for (const [name, value] of Object.entries(changes)) {
    query.delete(name);
    for (const one of typeof value === "string" ? [value] : (value ?? [])) if (one) query.append(name, one);
  }
  const text = query.toString();
  return from.path + (text ? `?${text}` : "");
}

/** Goes there without a step in the history. */
export const setQuery = (changes: Changes): void => go(withQuery(changes, pageUrl.peek()), { replace: true });

/** Plain clicks on links of the page stay in the page. */
document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin || link.pathname.startsWith("/api/")) return;
  if (link.getAttribute("href")?.startsWith("#")) return;
  event.preventDefault();
  go(link.pathname + link.search);
});

const MOST_PAGES = 10;

/** How many pages of this list are read at first: as many as when it was left. */
export const savedPages = (list: string): number => Math.min(historyState().pages?.[list] ?? 1, MOST_PAGES);

export function savePages(list: string, pages: number): void {
  if (pages !== savedPages(list)) history.replaceState({ ...historyState(), pages: { ...historyState().pages, [list]: pages } }, "");
}
