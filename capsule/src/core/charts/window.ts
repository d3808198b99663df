/**
 * The last minutes of a node's series, in columns for a chart.
 *
 * When samples are missing for more than 2.5 intervals, a row of nulls is inserted, so that no line crosses the gap. Charts break lines at
 * null only, never at NaN.
 */

export const GAP_INTERVALS = 2.5;

/** null breaks the line. undefined is a time at which only other series have a sample; it does not break the line. */
export type Cell = number | null | undefined;

export interface Columns {
  times: number[];
  values: Cell[][];
}

/** The values plus those of a base column. A missing value of the base counts as zero. */
export const stacked = (values: readonly Cell[], base: readonly Cell[]): Cell[] =>
  values.map((value, row) => (value == null ? value : value + (base[row] ?? 0)));

interface Track {
  times: number[];
  values: (number | null)[];
}

export class LiveWindow {
  readonly #tracks = new Map<string, Track>();
  readonly #known = new Set<string>();
  /** False while part of the past is still being read. The owner of the window sets it. */
  whole = true;

  constructor(readonly seconds: number) {}

  /**
   * Adds one live sample. Samples may arrive late or twice; the last one received wins.
   *
   * A sample later than `now` (hub time) comes from a server whose clock is ahead. If that clock is then set back by more than the window, all
   * earlier samples of the series are dropped. Otherwise the window would drop each new sample until the server's clock reaches the old time.
   */
  add(name: string, at: number, value: number | null, now = Infinity): void {
    const newest = this.#tracks.get(name)?.times.at(-1) ?? at;
    if (newest > now && newest - at > this.seconds) this.#tracks.delete(name);
    this.#insert(name, at, value);
  }

  #insert(name: string, at: number, value: number | null): void {
    let track = this.#tracks.get(name);
    if (!track) this.#tracks.set(name, (track = { times: [], values: [] }));
    const { times, values } = track;
    let index = times.length;
    while (index > 0 && (times[index - 1] as number) > at) index -= 1;
    if (index > 0 && (times[index - 1] as number) === at) {
      values[index - 1] = value;
      return;
    }
    if (index === times.length) {
      times.push(at);
      values.push(value);
    } else {
      times.splice(index, 0, at);
      values.splice(index, 0, value);
    }
    const oldest = (times[times.length - 1] as number) - this.seconds - 5;
    let drop = 0;
    while (drop < times.length && (times[drop] as number) < oldest) drop += 1;
    // Samples are dropped in blocks: shifting the array every second would copy it every second.
    if (drop >= 60) {
      times.splice(0, drop);
      values.splice(0, drop);
    }
  }

  /** Adds a bucket of history that begins at `at`, unless the window has a live sample within the bucket. */
  addBucket(name: string, at: number, step: number, value: number): void {
    const times = this.#tracks.get(name)?.times ?? [];
    for (let row = times.length - 1; row >= 0 && (times[row] as number) >= at; row -= 1) {
      if ((times[row] as number) < at + step) return;
    }
    this.#insert(name, at, value);
  }

  /** Marks the past of these series as read: values that are still missing were not measured. */
  markRead(names: readonly string[]): void {
    for (const name of names) this.#known.add(name);
  }

  /** More seconds than this without a sample are a gap. Infinity while the past is still being read: a value that was not read is not missing. */
  gapLimit(names: readonly string[], interval: number): number {
    return this.whole && names.every((name) => this.#known.has(name)) ? interval * GAP_INTERVALS : Infinity;
  }

  /** The columns of several series over `[until - seconds, until + 1]`, on the union of their times, with their gaps. `interval`: seconds between samples. */
  columns(names: readonly string[], until: number, interval: number): Columns {
    const from = until - this.seconds;
    const tracks = names.map((name) => this.#tracks.get(name));
    const parts = tracks.map((track) =>
      track ? track.times.slice(firstFrom(track.times, from), track.times.findLastIndex((at) => at <= until + 1) + 1) : [],
    );
    const times = union(parts);
    const values = tracks.map((track): Cell[] => {
      if (!track) return times.map(() => null);
      let next = firstFrom(track.times, from);
      // The series of a chart usually share their times.
      if (times === parts[0]) return track.values.slice(next, next + times.length);
      return times.map((at) => {
        while (next < track.times.length && (track.times[next] as number) < at) next += 1;
        return track.times[next] === at ? (track.values[next] ?? null) : null;
      });
    });
    return bridgeGaps(breakGaps({ times, values }, interval * GAP_INTERVALS), interval * GAP_INTERVALS);
  }
}

/** The first index of an ascending list whose time is `at` or later. */
function firstFrom(times: readonly number[], at: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] as number) < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The union of several ascending lists. If all lists are equal, which is usual, the result is the first list itself. */
function union([first = [], ...rest]: readonly number[][]): number[] {
  const others = rest.filter((times) => times.length !== first.length || times.some((at, row) => at !== first[row]));
  return others.length ? [...new Set([first, ...others].flat())].sort((a, b) => a - b) : first;
}

/**
 * Replaces null by undefined between two values of a column that are at most `limit` seconds apart. A null there is no gap: only another
 * column has a sample at that time.
 */
export function bridgeGaps({ times, values }: Columns, limit: number): Columns {
  return {
    times,
    values: values.map((column) => {
      if (!column.includes(null)) return column;
      let last = -1;
      const out = [...column];
      column.forEach((value, row) => {
        if (value == null) return;
        if (last >= 0 && row - last > 1 && (times[row] as number) - (times[last] as number) <= limit) out.fill(undefined, last + 1, row);
        last = row;
      });
      return out;
    }),
  };
}

/** The row nearest to a moment; -1 if there are no rows. */
export function nearestRow(times: readonly number[], at: number): number {
  let low = 0;
  let high = times.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] as number) < at) low = middle + 1;
    else high = middle;
  }
  return low > 0 && at - (times[low - 1] as number) <= (times[low] as number) - at ? low - 1 : high;
}

/** The row of the sample of a column that is nearest to a moment, within `limit` seconds; -1 if there is none. */
export function sampleRow(times: readonly number[], column: readonly Cell[], at: number, limit: number): number {
  const start = nearestRow(times, at);
  if (start < 0) return -1;
  for (let step = 0; ; step += 1) {
    const [before, after] = [start - step, start + step];
    const left = before >= 0 && at - (times[before] as number) <= limit;
    const right = after < times.length && (times[after] as number) - at <= limit;
    if (left && column[before] != null) return before;
    if (right && column[after] != null) return after;
    if (!left && !right && step > 0) return -1;
  }
}

/** Inserts a row of nulls into each gap longer than `limit` seconds, and replaces undefined by null. */
export function breakGaps({ times, values }: Columns, limit: number): Columns {
  if (!times.some((at, row) => at - (times[row - 1] ?? at) > limit) && !values.some((column) => column.includes(undefined)))
    return { times, values };
  const outTimes: number[] = [];
  const outValues: Cell[][] = values.map(() => []);
  times.forEach((at, row) => {
    const before = times[row - 1];
    if (before !== undefined && at - before > limit) {
      outTimes.push(before + (at - before) / 2);
      for (const column of outValues) column.push(null);
    }
    outTimes.push(at);
    values.forEach((column, index) => (outValues[index] as Cell[]).push(column[row] ?? null));
  });
  return { times: outTimes, values: outValues };
}

/** The first part with any of these series; undefined = none. A part is one answer of the hub, with its own times and step. */
export const partOf = <P extends { readonly series: object }>(parts: readonly P[], names: readonly string[]): P | undefined =>
  parts.find(({ series }) => names.some((name) => Object.hasOwn(series, name)));

/**
 * Prepares the hub's buckets for a chart.
 *
 * Empty buckets are a gap only if they last longer than 1.5 buckets and 2.5 intervals between samples: one sample a minute leaves most buckets
 * of six seconds empty.
 */
export function fromBuckets({ times, values }: Columns, step: number, interval: number): Columns {
  const keep: number[] = [];
  times.forEach((_, row) => {
    if (values.some((column) => column[row] != null)) keep.push(row);
  });
  const dense = { times: keep.map((row) => times[row] as number), values: values.map((column) => keep.map((row) => column[row] ?? null)) };
  const limit = Math.max(step * 1.5, interval * GAP_INTERVALS);
  return bridgeGaps(breakGaps(dense, limit), limit);
}

export interface Gap {
  from: number;
  to: number;
}

/** The times in `[from, until]` without a sample of any column for more than `limit` seconds. If no column has a sample, there are no gaps. */
export function findGaps({ times, values }: Columns, from: number, until: number, limit: number): Gap[] {
  const found: Gap[] = [];
  let last: number | null = null;
  times.forEach((at, row) => {
    if (!values.some((column) => column[row] != null)) return;
    if (last === null ? at - from > limit : at - last > limit) found.push({ from: last ?? from, to: at });
    last = at;
  });
  if (last !== null && until - last > limit) found.push({ from: last, to: until });
  return found;
}

/** The gaps of each line, without those that all lines share. `since` is the time of the first possible sample of each line. */
export function seriesGaps({ times, values }: Columns, from: number, until: number, limit: number, since: readonly number[]): Gap[][] {
  const all = findGaps({ times, values }, Math.max(from, Math.min(...since)), until, limit);
  return values.map((column, index) => {
    const start = Math.max(from, since[index] ?? from);
    const found = column.some((value) => value != null)
      ? findGaps({ times, values: [column] }, start, until, limit)
      : until - start > limit
        ? [{ from: start, to: until }]
        : [];
    return found.filter((own) => !all.some((one) => one.from <= own.from && one.to >= own.to));
  });
}

export type TableRow = { row: number } | { gap: Gap };

/** The rows of a data table in `[from, until]` by time: each row with a value, and each gap once. No gap begins before `since`. */
export function tableRows(columns: Columns, from: number, until: number, limit: number, since = from): TableRow[] {
  const { times, values } = columns;
  const gaps = findGaps(columns, Math.max(from, since), until, limit);
  const rows: TableRow[] = [];
  times.forEach((at, row) => {
    if (at < from || at > until || !values.some((column) => column[row] != null)) return;
    while (gaps[0] && gaps[0].from < at) rows.push({ gap: gaps.shift() as Gap });
    rows.push({ row });
  });
  return [...rows, ...gaps.map((gap) => ({ gap }))];
}

/** The rows whose value has a gap on both sides, so that no line shows it. */
export function isolatedRows(column: readonly Cell[]): number[] {
  const found: number[] = [];
  let before: Cell = null;
  let row = -1;
  // `row` is one step behind `next`, because the next cell decides whether the value of `row` is isolated.
  for (let next = 0; next <= column.length; next += 1) {
    const value: Cell = next < column.length ? column[next] : null;
    if (value === undefined) continue;
    const current: Cell = row < 0 ? null : column[row];
    if (current != null && before == null && value == null) found.push(row);
    before = current;
    row = next;
  }
  return found;
}
