/** The URL is the state: one signal of path and query, and the way to change it. */

import { signal } from "@preact/signals";

export interface Place {
  path: string;
  query: URLSearchParams;
}

const read = (): Place => ({ path: location.pathname, query: new URLSearchParams(location.search) });

export const place = signal<Place>(read());
const listeners = new Set<() => void>();

window.addEventListener("popstate", () => {
  place.value = read();
});

/** Goes to a path of the page; `replace` leaves no step to go back to. */
export function go(target: string, { replace = false }: { replace?: boolean } = {}): void {
  if (target === location.pathname + location.search) return;
  const before = location.pathname;
  history[replace ? "replaceState" : "pushState"](null, "", target);
  place.value = read();
  if (location.pathname !== before) {
    window.scrollTo(0, 0);
    for (const tell of listeners) tell();
  }
}

/** Sets or removes parts of the query without a step in the history. */
export function setQuery(changes: Readonly<Record<string, string | null>>): void {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  go(location.pathname + (text ? `?${text}` : ""), { replace: true });
}

export function onNavigate(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Plain clicks on links of the page stay in the page. */
document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin || link.pathname.startsWith("/api/")) return;
  if (link.getAttribute("href")?.startsWith("#")) return;
  event.preventDefault();
  go(link.pathname + link.search);
});
