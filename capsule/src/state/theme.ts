/** Light, dark or as the system: kept in a cookie, so that the hub writes it into the page before the first paint. */

import { signal } from "@preact/signals";

export type Theme = "auto" | "light" | "dark";

const root = document.documentElement;
const known = (text: string | undefined): Theme => (text === "dark" || text === "light" ? text : "auto");
const fromCookie = (): Theme => known(/(?:^|;\s*)theme=(\w+)/.exec(document.cookie)?.[1]);
const system = matchMedia("(prefers-color-scheme: dark)");

export const theme = signal<Theme>(fromCookie());
/** What is seen; charts and terminals read their colours again when it changes. */
export const shade = signal<"light" | "dark">("light");

function apply(): void {
  root.dataset.theme = theme.value;
  shade.value = theme.value === "auto" ? (system.matches ? "dark" : "light") : theme.value;
}

export function setTheme(wanted: Theme): void {
  theme.value = wanted;
  document.cookie = `theme=${wanted}; Path=/; Max-Age=31536000; SameSite=Strict${location.protocol === "https:" ? "; Secure" : ""}`;
  apply();
}

export function nextTheme(): Theme {
  const order: Theme[] = ["auto", "light", "dark"];
  const next = order[(order.indexOf(theme.value) + 1) % order.length] ?? "auto";
  setTheme(next);
  return next;
}

system.addEventListener("change", apply);
apply();
