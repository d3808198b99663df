/** One series of several nodes in one chart. Each node samples at different moments, so samples are first aligned to common rows. */

import { breakGaps, GAP_INTERVALS, bridgeGaps, type Cell, type Columns } from "./window";

export const MAX_NODES = 12;

/** The samples of one series on one node. */
export interface NodeSeries {
  times: readonly number[];
  column: readonly Cell[];
}

/** How far outside a row its sample may lie, as a share of the row. */
const SLACK = 0.25;

/**
 * The samples by row: row n starts at n times `interval` (seconds). If each sample went to the row of its time, a node that samples near the
 * border of two rows would skip some rows and hit others twice. So a sample goes to the row after the previous sample's, if it comes less than
 * 1.5 intervals after that sample and lies in that row or less than `SLACK` outside it.
 */
function inRows({ times, column }: NodeSeries, interval: number): Map<number, number> {
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
 * All series with the same times: the starts of the rows that have a sample, and one time without values in each gap that all nodes share.
 * A line has a gap only if its node has no samples for more than `GAP_INTERVALS` times `interval` (seconds).
 */
export function alignSeries(nodes: readonly NodeSeries[], interval: number): Columns {
  const found = nodes.map((node) => inRows(node, interval));
  const rows = [...new Set(found.flatMap((node) => [...node.keys()]))].sort((a, b) => a - b);
  const values = found.map((node) => rows.map((row): Cell => node.get(row) ?? null));
  const limit = interval * GAP_INTERVALS;
  return bridgeGaps(breakGaps({ times: rows.map((row) => row * interval), values }, limit), limit);
}

export interface Aggregates {
  low: number | null;
  mean: number | null;
  high: number | null;
}

/** Minimum, mean and maximum of a column. `low` and `high`: the minimum and maximum of each bucket, if the values of `column` are means of buckets. */
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

/** The valid node ids of a comma-separated text, without duplicates, at most `MAX_NODES`. */
export function parseNodeIds(text: string | null): string[] {
  return [...new Set((text ?? "").split(",").filter((id) => /^[0-9a-z]{1,64}$/.test(id)))].slice(0, MAX_NODES);
}
