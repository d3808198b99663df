/** The theme: light, dark or that of the system. A cookie stores it, so that the hub can write it into the page before the first paint. */

import { signal } from "@preact/signals";
import { readCookie, writeCookie } from "./cookies";

export type Theme = "auto" | "light" | "dark";

const root = document.documentElement;
function fromCookie(): Theme {
  const kept = readCookie("theme");
  return kept === "dark" || kept === "light" ? kept : "auto";
}
const system = matchMedia("(prefers-color-scheme: dark)");
/** The channel on which tabs of this browser notify each other when the cookie changes. */
const tabs = new BroadcastChannel("theme");

export const theme = signal<Theme>("auto");
/** The visible theme. Charts and terminals read their colours again when it changes. */
export const shade = signal<"light" | "dark">("light");

function apply(): void {
  const chosen = fromCookie();
  root.dataset.theme = theme.value = chosen;
  shade.value = chosen === "auto" ? (system.matches ? "dark" : "light") : chosen;
}

export function setTheme(wanted: Theme): void {
  writeCookie("theme", wanted);
  apply();
  tabs.postMessage(0);
}

export function nextTheme(): Theme {
  const order: Theme[] = ["auto", "light", "dark"];
  const next = order[(order.indexOf(theme.value) + 1) % order.length] ?? "auto";
  setTheme(next);
  return next;
}

system.addEventListener("change", apply);
tabs.onmessage = apply;
apply();
