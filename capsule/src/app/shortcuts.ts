/** Shortcuts of the whole page. Single letters are off in text fields, dialogs and terminals, and when the user has disabled them. */

import { closeDialog, openDialog, showDialog } from "../state/dialogs";
import { rows } from "../state/fleet";
import { singleKeys } from "../state/preferences";
import { go, pageUrl, setQuery } from "../state/router";
import { picked, unpick } from "../state/selection";
import { mayAct, phase } from "../state/session";
import { nextTheme } from "../state/theme";
import { handleRowLetter, moveByArrow } from "./row-keys";
import { SECTIONS } from "./sections";

const SEQUENCE_MS = 1200;
const PRESSED = "button, a, input, summary, [role=option], [role=tab], [role=radio], [role=row][tabindex]";
const TYPED_INTO = "input:not([type=checkbox]), textarea, select, [contenteditable], .xterm";
const names = new Intl.Collator(undefined, { numeric: true });

/** The filter field of the page, if it has one. */
const filterField = (): HTMLElement | null => document.querySelector<HTMLElement>('[data-shortcut="/"]');

/** Opens the previous or next node by name, on the same tab. */
function neighbour(step: number): void {
  const [, first, id = "", ...tab] = pageUrl.peek().path.split("/");
  if (first !== "n") return;
  const ids = rows
    .peek()
    .map(({ node }) => node)
    .sort((a, b) => names.compare(a.name, b.name))
    .map((node) => node.id);
  const next = ids[ids.indexOf(id) + step];
  if (next) go(["", "n", next, ...tab].join("/") + location.search);
}

/** Handles Esc without a dialog: clears the filter, or else the selection. Only the fleet's page has a filter and a selection. */
function stepBack(): void {
  const { path, query } = pageUrl.peek();
  if (path !== "/") return;
  if (query.get("q")) setQuery({ q: null });
  else unpick();
}

/** Returns whether the letter did something. */
function handleLetter(key: string): boolean {
  const field = filterField();
  if (key === "/") {
    if (field) field.focus();
    else {
      go("/");
      requestAnimationFrame(() => filterField()?.focus());
    }
  } else if (key === "n" && mayAct.value) showDialog({ kind: "add" });
  else if (key === "u" && mayAct.value && picked.value.size) showDialog({ kind: "bulk-job", nodes: [...picked.value], action: "upgrade" });
  else if (key === "t") nextTheme();
  else if (key === "?") showDialog({ kind: "shortcuts" });
  else if (key === "[" || key === "]") neighbour(key === "]" ? 1 : -1);
  else return handleRowLetter(key);
  return true;
}

/** Handles Space: pauses or resumes live values, except on a button, link or row. Returns whether it did. */
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
    // While a dialog loads, stores keys for the dialog: they would otherwise go to the focused element of the page. Esc closes the dialog.
    if (openDialog.value && !/^(F\d|Tab)/.test(event.key) && !document.querySelector("dialog[open]")) {
      if (event.key === "Escape") closeDialog();
      else (openDialog.value.early ??= []).push(event.key);
      return event.preventDefault();
    }
    if (openDialog.value || document.querySelector("dialog[open], [popover]:popover-open")) return;
    if (event.target instanceof Element && event.target.closest(TYPED_INTO)) return;
    if (event.key === "Escape") return stepBack();
    if (event.key === " " ? freeze(event.target) : moveByArrow(event.key)) return event.preventDefault();
    if (!singleKeys()) return;
    const target = Date.now() - gAt < SEQUENCE_MS && SECTIONS.find(({ key }) => key[0] === event.key);
    gAt = event.key === "g" ? Date.now() : 0;
    if (target) go(target.href);
    else if (gAt || !handleLetter(event.key)) return;
    event.preventDefault();
  });
}
