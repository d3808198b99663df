/**
 * Keys for all lists whose rows open something: next, previous, open, select. The fleet's table handles its own keys, because it draws only
 * some of its rows.
 */

const ROWS = "main :is([role=table] [role=row][tabindex], .cards a)";

const focusedRow = (): HTMLElement | null => document.activeElement?.closest<HTMLElement>(ROWS) ?? null;

/** Moves the focus by some rows. Returns whether the page has rows. */
function step(by: number): boolean {
  const all = [...document.querySelectorAll<HTMLElement>(ROWS)].filter((row) => row.checkVisibility());
  const here = focusedRow();
  // Without a focused row, starts at the row that Tab reaches if the table marks one, otherwise at the first row in view.
  const next = here
    ? all[all.indexOf(here) + by]
    : (all.find((row) => row.getAttribute("role") === "row" && row.tabIndex === 0 && all.some((other) => other.tabIndex < 0)) ??
      all.find((row) => row.getBoundingClientRect().top >= 0));
  next?.focus();
  return all.length > 0;
}

/** Moves from a focused row with an arrow key. Returns whether it did; otherwise the key scrolls the page. */
export const moveByArrow = (key: string): boolean =>
  (key === "ArrowDown" || key === "ArrowUp") &&
  document.activeElement === focusedRow() &&
  focusedRow() !== null &&
  step(key === "ArrowDown" ? 1 : -1);

/** Handles j, k, o, x and e. Returns whether the key did something. */
export function handleRowLetter(key: string): boolean {
  if (key === "j" || key === "k") return step(key === "j" ? 1 : -1);
  const here = focusedRow();
  if (!here || document.activeElement !== here) return false;
  if (key === "o") here.click();
  else if (key === "e") here.querySelector<HTMLElement>("[aria-keyshortcuts=e]")?.click();
  else if (key === "x") (here.closest("li") ?? here).querySelector<HTMLElement>("input[type=checkbox]")?.click();
  else return false;
  return true;
}
