/** Tables of a node (processes, services, interfaces …): sorting and texts. */

import { formatValue } from "../metrics/metric-list";
import { t, timeOrDate, translate, UNKNOWN } from "../text";
import type { ColumnView } from "../../wire/schema.gen";

/** Numbers that are not rounded or scaled. */
const UNFORMATTED = new Set(["pid", "port", "mtu"]);
const WORDS: Readonly<Record<string, string>> = {
  pid: "PID",
  cpu: "CPU",
  mac: "MAC",
  mtu: "MTU",
  next: t`Next run`,
  last: t`Last run`,
  tcp: "TCP",
  udp: "UDP",
  gpu: "GPU",
  psi: t`Pressure`,
  rotational: t`Type`,
  candidate: t`Available`,
};

export type TableCell = string | number | null;

export interface TableLike {
  columns: readonly ColumnView[];
  rows: readonly (readonly TableCell[])[];
}

/** Makes a function that returns the cells of these columns of a row; null for a column that the table does not have. */
export const reader = (table: TableLike, ...names: string[]): ((row: readonly TableCell[]) => TableCell[]) => {
  const places = names.map((name) => table.columns.findIndex((column) => column.name === name));
  return (row) => places.map((place) => (place < 0 ? null : (row[place] ?? null)));
};

export interface RowOrder {
  column: string;
  down: boolean;
}

/** The rows in this order. Unknown values are last in either direction, and equal rows keep their order. */
export function sortRows(table: TableLike, order: RowOrder | null): readonly (readonly TableCell[])[] {
  const at = order ? table.columns.findIndex((column) => column.name === order.column) : -1;
  if (!order || at < 0) return table.rows;
  const sign = order.down ? -1 : 1;
  return [...table.rows].sort((a, b) => {
    const [left = null, right = null] = [a[at], b[at]];
    if (left === null || right === null) return left === right ? 0 : left === null ? 1 : -1;
    if (typeof left === "number" && typeof right === "number") return sign * (left - right);
    return sign * String(left).localeCompare(String(right), "en", { numeric: true });
  });
}

/** The rows that contain all of these words, each in any cell. */
export function filterRows(rows: readonly (readonly TableCell[])[], words: string): readonly (readonly TableCell[])[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return wanted.length
    ? rows.filter((row) => wanted.every((word) => row.some((cell) => cell !== null && String(cell).toLowerCase().includes(word))))
    : rows;
}

export function cellText(column: ColumnView, cell: TableCell, now: number): string {
  if (cell === null || cell === "") return UNKNOWN;
  if (column.name === "security" && cell === "no") return "";
  if (typeof cell === "string") return cell;
  if (column.kind === "time") return timeOrDate(cell, now);
  if (column.name === "rotational") return cell ? t`HDD` : t`SSD`;
  if (UNFORMATTED.has(column.name)) return String(cell);
  return formatValue(cell, column.unit);
}

/** The label of a column: `started_at` becomes "Started". */
export function columnLabel(name: string): string {
  const words = name.replace(/_at$/, "").replaceAll("_", " ");
  return WORDS[words] ?? translate(words.charAt(0).toUpperCase() + words.slice(1));
}

/** An agent that is connected has looked at everything again this long after a job. */
const LOOK_S = 120;
/** A table has the time of the server's clock, which may be wrong by this much without an alert. */
const SKEW_S = 30;

/** What a table leaves out since it was taken before a job ended that may have changed it; empty: nothing. Times are in Unix seconds. */
export function sinceJobText(takenAt: number, endedAt: number, now: number): string {
  if (takenAt < endedAt && now - endedAt < LOOK_S) return t`A job has ended since. The agent is looking at this again.`;
  return takenAt < endedAt - SKEW_S ? t`A job has ended since, and the agent has not looked at this again. This is how it was before.` : "";
}
