/** One series of several nodes side by side. Each node samples at moments of its own, so those are put into common rows first. */

import { breakGaps, GAP_INTERVALS, bridgeGaps, type Cell, type Columns } from "./window";

export const MAX_NODES = 12;

export interface Part {
  times: readonly number[];
  column: readonly Cell[];
}

/** So much of a row may a sample be early or late. */
const SLACK = 0.25;

/** Its samples by the row of the whole `rhythm` that each was taken in, as in history. Who measures at the turn of one is now before it and now behind: then the row is the one that follows on the row before. */
function inRows({ times, column }: Part, rhythm: number): Map<number, number> {
  const rows = new Map<number, number>();
  let [before, row] = [-Infinity, -Infinity];
  times.forEach((at, index) => {
    const value = column[index];
    if (value == null) return;
    const [place, next] = [at / rhythm, row + 1];
    row = at - before < 1.5 * rhythm && place > next - SLACK && place < next + 1 + SLACK ? next : Math.floor(place);
    before = at;
    rows.set(row, value);
  });
  return rows;
}

/** All parts in rows of one rhythm, so that what was measured in the same second stands side by side; a line has a hole only where its own samples are missing for long. */
export function alignSeries(parts: readonly Part[], rhythm: number): Columns {
  const found = parts.map((part) => inRows(part, rhythm));
  const rows = [...new Set(found.flatMap((part) => [...part.keys()]))].sort((a, b) => a - b);
  const values = found.map((part) => rows.map((row): Cell => part.get(row) ?? null));
  const limit = rhythm * GAP_INTERVALS;
  return bridgeGaps(breakGaps({ times: rows.map((row) => row * rhythm), values }, limit), limit);
}

export interface Aggregates {
  low: number | null;
  mean: number | null;
  high: number | null;
}

/** Lowest, mean and highest of a window; a bucket's own lowest and highest count, where they are known. */
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

/** The ids of a query, each once and no more than can be told apart. */
export function parseNodeIds(text: string | null): string[] {
  return [...new Set((text ?? "").split(",").filter((id) => /^[0-9a-z]{1,64}$/.test(id)))].slice(0, MAX_NODES);
}
