/** Keys of the whole page. Single letters do nothing while something is typed into, in a dialog or in a terminal. */

import { open, show } from "../state/dialogs";
import { go } from "../state/router";
import { mayAct, phase } from "../state/session";
import { nextTheme } from "../state/theme";

const SEQUENCE_MS = 1200;
const TYPED_INTO = "input, textarea, select, [contenteditable], .xterm";

export function listenToKeys(): void {
  let gAt = 0;
  document.addEventListener("keydown", (event) => {
    if (phase.value !== "ready") return;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      if (!open.value) show({ kind: "palette" });
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || open.value || document.querySelector("dialog[open]")) return;
    if (event.target instanceof Element && event.target.closest(TYPED_INTO)) return;
    if (Date.now() - gAt < SEQUENCE_MS) {
      gAt = 0;
      const target = { f: "/", j: "/jobs", e: "/events", s: "/settings" }[event.key];
      if (target) {
        event.preventDefault();
        go(target);
        return;
      }
    }
    switch (event.key) {
      case "g":
        gAt = Date.now();
        return;
      case "/": {
        event.preventDefault();
        const field = document.querySelector<HTMLElement>('[data-shortcut="/"]');
        if (field) field.focus();
        else {
          go("/");
          requestAnimationFrame(() => document.querySelector<HTMLElement>('[data-shortcut="/"]')?.focus());
        }
        return;
      }
      case "n":
        if (mayAct.value) show({ kind: "add" });
        return;
      case "t":
        nextTheme();
        return;
      case "?":
        show({ kind: "keys" });
    }
  });
}
