/** Writes a table as CSV (RFC 4180). A text that a spreadsheet would run as a formula gets an apostrophe; null becomes an empty cell. */

export type CsvCell = string | number | null | undefined;

const FORMULA = /^[=+\-@\t\r]/;

function cell(value: CsvCell): string {
  if (value == null) return "";
  if (typeof value === "number") return String(value);
  const text = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export const csv = (rows: readonly (readonly CsvCell[])[]): string => rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
