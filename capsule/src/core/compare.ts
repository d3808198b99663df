/** One series of several nodes side by side. Each node samples by its own clock, so their moments are put together first. */

import { settle, type Cell, type Columns } from "./window";

export const MOST_NODES = 12;

export interface Part {
  times: readonly number[];
  column: readonly Cell[];
}

/** All moments of all parts; where one has no sample of its own it has a hole only if `limit` seconds pass without. */
export function joined(parts: readonly Part[], limit: number): Columns {
  const places = new Map<number, number>();
  const times = [...new Set(parts.flatMap((part) => part.times))].sort((a, b) => a - b);
  times.forEach((at, place) => places.set(at, place));
  const values = parts.map(({ times: own, column }) => {
    const out: Cell[] = times.map(() => null);
    own.forEach((at, row) => {
      out[places.get(at) as number] = column[row];
    });
    return out;
  });
  return settle({ times, values }, limit);
}

export interface Figures {
  low: number | null;
  mean: number | null;
  high: number | null;
}

/** Lowest, mean and highest of a window; a bucket's own lowest and highest count, where they are known. */
export function figures(column: readonly Cell[], low: readonly Cell[] = column, high: readonly Cell[] = column): Figures {
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
export function readIds(text: string | null): string[] {
  return [...new Set((text ?? "").split(",").filter((id) => /^[0-9a-z]{1,64}$/.test(id)))].slice(0, MOST_NODES);
}
