/** One series of several nodes side by side. Each node samples at its own moments, so samples are aligned to common rows first. */

import { breakGaps, GAP_INTERVALS, bridgeGaps, type Cell, type Columns } from "./window";

export const MAX_NODES = 12;

export interface Part {
  times: readonly number[];
  column: readonly Cell[];
}

/** A sample may be early or late by this share of a row. */
const SLACK = 0.25;

/**
 * Samples by row, a row being a whole `interval` as in history. A node that samples at the border of two rows jitters between them. Such a
 * sample goes to the row after the previous one.
 */
function inRows({ times, column }: Part, interval: number): Map<number, number> {
  const rows = new Map<number, number>();
  let [before, row] = [-Infinity, -Infinity];
  times.forEach((at, index) => {
    const value = column[index];
    if (value == null) return;
    const [place, next] = [at / interval, row + 1];
    row = at - before < 1.5 * interval && place > next - SLACK && place < next + 1 + SLACK ? next : Math.floor(place);
    before = at;
    rows.set(row, value);
  });
  return rows;
}

/**
 * All series in rows of one interval, so that samples of the same second stand side by side. A line has a gap only where its own samples are
 * missing for long.
 */
export function alignSeries(parts: readonly Part[], interval: number): Columns {
  const found = parts.map((part) => inRows(part, interval));
  const rows = [...new Set(found.flatMap((part) => [...part.keys()]))].sort((a, b) => a - b);
  const values = found.map((part) => rows.map((row): Cell => part.get(row) ?? null));
  const limit = interval * GAP_INTERVALS;
  return bridgeGaps(breakGaps({ times: rows.map((row) => row * interval), values }, limit), limit);
}

export interface Aggregates {
  low: number | null;
  mean: number | null;
  high: number | null;
}

/** Minimum, mean and maximum of a window. A bucket's own minimum and maximum count, where they are known. */
export function aggregate(column: readonly Cell[], low: readonly Cell[] = column, high: readonly Cell[] = column): Aggregates {
  let [sum, count]: [number, number] = [0, 0];
  let [least, most]: [number | null, number | null] = [null, null];
  column.forEach((value, row) => {
    if (value == null) return;
    sum += value;
    count += 1;
    const [down, up] = [low[row] ?? value, high[row] ?? value];
    least = least === null || down < least ? down : least;
    most = most === null || up > most ? up : most;
  });
  return { low: least, mean: count ? sum / count : null, high: most };
}

/** The node ids of a query, without duplicates and limited to the number that a chart can distinguish. */
export function parseNodeIds(text: string | null): string[] {
  return [...new Set((text ?? "").split(",").filter((id) => /^[0-9a-z]{1,64}$/.test(id)))].slice(0, MAX_NODES);
}
