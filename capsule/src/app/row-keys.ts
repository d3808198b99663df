/**
 * Row selection by key in all lists whose rows open something: next, previous, open, select. The fleet's table has its own, since only a part
 * of it is drawn.
 */

const ROWS = "main :is([role=table] [role=row][tabindex], .cards a)";

const focusedRow = (): HTMLElement | null => document.activeElement?.closest<HTMLElement>(ROWS) ?? null;

function step(by: number): boolean {
  const all = [...document.querySelectorAll<HTMLElement>(ROWS)].filter((row) => row.checkVisibility());
  const here = focusedRow();
  // Without a current row, starts where the table says, or at the first visible one.
  const next = here ? all[all.indexOf(here) + by] : (all.find((row) => row.getAttribute("role") === "row" && row.tabIndex === 0 && all.some((other) => other.tabIndex < 0)) ?? all.find((row) => row.getBoundingClientRect().top >= 0));
  next?.focus();
  return all.length > 0;
}

/** Arrows move from a focused row; elsewhere they scroll the page. */
export const isRowArrow = (key: string): boolean => (key === "ArrowDown" || key === "ArrowUp") && document.activeElement === focusedRow() && focusedRow() !== null && step(key === "ArrowDown" ? 1 : -1);

/** j, k, o, x and e; true = the key did something. */
export function rowLetter(key: string): boolean {
  if (key === "j" || key === "k") return step(key === "j" ? 1 : -1);
  const here = focusedRow();
  if (!here || document.activeElement !== here) return false;
  if (key === "o") here.click();
  else if (key === "e") here.querySelector<HTMLElement>("[aria-keyshortcuts=e]")?.click();
  else if (key === "x") (here.closest("li") ?? here).querySelector<HTMLElement>("input[type=checkbox]")?.click();
  else return false;
  return true;
}
