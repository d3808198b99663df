/** Shortcuts of the whole page. Single letters are off in text fields, dialogs and terminals, and where the user has disabled them. */

import { closeDialog, openDialog, showDialog } from "../state/dialogs";
import { rows } from "../state/fleet";
import { singleKeys } from "../state/preferences";
import { go, pageUrl, setQuery } from "../state/router";
import { picked, unpick } from "../state/selection";
import { mayAct, phase } from "../state/session";
import { nextTheme } from "../state/theme";
import { isRowArrow, rowLetter } from "./row-keys";

const SEQUENCE_MS = 1200;
const PRESSED = "button, a, input, summary, [role=option], [role=tab], [role=radio], [role=row][tabindex]";
const TYPED_INTO = "input:not([type=checkbox]), textarea, select, [contenteditable], .xterm";
const PAGES: Readonly<Record<string, string>> = { f: "/", a: "/alerts", u: "/updates", j: "/jobs", e: "/events", s: "/settings" };
const names = new Intl.Collator(undefined, { numeric: true });

/** The filter field of the page, if it has one. */
const filterField = (): HTMLElement | null => document.querySelector<HTMLElement>('[data-shortcut="/"]');

/** The previous or next node by name; the tab stays. */
function neighbour(step: number): void {
  const [, first, id = "", ...tab] = pageUrl.peek().path.split("/");
  if (first !== "n") return;
  const ids = rows.peek().map(({ node }) => node).sort((a, b) => names.compare(a.name, b.name)).map((node) => node.id);
  const next = ids[ids.indexOf(id) + step];
  if (next) go(["", "n", next, ...tab].join("/") + location.search);
}

/** Esc without a dialog: clears the filter, then the selection. Only the fleet's page has these. */
function stepBack(): void {
  const { path, query } = pageUrl.peek();
  if (path !== "/") return;
  if (query.get("q")) setQuery({ q: null });
  else unpick();
}

function letter(key: string): boolean {
  const field = filterField();
  if (key === "/") {
    if (field) field.focus();
    else {
      go("/");
      requestAnimationFrame(() => filterField()?.focus());
    }
  } else if (key === "n" && mayAct.value) showDialog({ kind: "add" });
  else if (key === "u" && mayAct.value && picked.value.size) showDialog({ kind: "many", nodes: [...picked.value], action: "upgrade" });
  else if (key === "t") nextTheme();
  else if (key === "?") showDialog({ kind: "keys" });
  else if (key === "[" || key === "]") neighbour(key === "]" ? 1 : -1);
  else return rowLetter(key);
  return true;
}

/** Space pauses and resumes live values; on a button, link or row it keeps its own function. */
function freeze(target: EventTarget | null): boolean {
  const button = document.querySelector<HTMLElement>("[aria-keyshortcuts=Space]");
  if (!button || (target instanceof Element && target.closest(PRESSED))) return false;
  button.click();
  return true;
}

export function listenToShortcuts(): void {
  let gAt = 0;
  document.addEventListener("keydown", (event) => {
    if (phase.value !== "ready") return;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      if (!openDialog.value) showDialog({ kind: "palette" });
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    // While a dialog loads, keys are kept for it: a press would go to the focused element behind it. Esc gives it up.
    if (openDialog.value && !/^(F\d|Tab)/.test(event.key) && !document.querySelector("dialog[open]")) {
      if (event.key === "Escape") closeDialog();
      else (openDialog.value.early ??= []).push(event.key);
      return event.preventDefault();
    }
    if (openDialog.value || document.querySelector("dialog[open], [popover]:popover-open")) return;
    if (event.target instanceof Element && event.target.closest(TYPED_INTO)) return;
    if (event.key === "Escape") return stepBack();
    if (event.key === " " ? freeze(event.target) : isRowArrow(event.key)) return event.preventDefault();
    if (!singleKeys()) return;
    const target = Date.now() - gAt < SEQUENCE_MS && PAGES[event.key];
    gAt = event.key === "g" ? Date.now() : 0;
    if (target) go(target);
    else if (gAt || !letter(event.key)) return;
    event.preventDefault();
  });
}
