/** The time range of a page's charts: a range that ends now, or a fixed window. It is stored in the URL. */

export const LIVE_S = 300;
export const RANGES = { live: LIVE_S, "1h": 3600, "24h": 86_400, "7d": 604_800, "30d": 2_592_000 } as const;
export type Range = keyof typeof RANGES;
export const RANGE_KEYS = Object.keys(RANGES) as Range[];

export interface Span {
  from: number;
  to: number;
}

export interface TimeRange {
  range: Range;
  /** A fixed window; a reset returns to `range`. */
  zoom: Span | null;
}

/** Samples are at least a second apart, and a shorter window would show too few of them. */
const MIN_SPAN_S = 10;
const MAX_SPAN_S = 400 * 86_400;
/** Bucket widths of the hub (`STEPS_S` of samples/query.py). Buckets begin at multiples of their width. */
const STEPS_S = [1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200, 86_400];

const isRange = (text: string | null): text is Range => text !== null && Object.hasOwn(RANGES, text);

function parseMoment(text: string | null): number | null {
  return text !== null && /^\d{1,11}$/.test(text) ? Number(text) : null;
}

/** The time range in the query. An invalid range counts as live, an invalid window as none. */
export function parseTimeRange(get: (name: string) => string | null): TimeRange {
  const range = get("range");
  const from = parseMoment(get("from"));
  const to = parseMoment(get("to"));
  const zoom = from !== null && to !== null && to - from >= MIN_SPAN_S && to - from <= MAX_SPAN_S ? { from, to } : null;
  return { range: isRange(range) ? range : "live", zoom };
}

/** The query parameters for a time range. */
export function timeRangeQuery({ range, zoom }: TimeRange): Record<"range" | "from" | "to", string | null> {
  return { range: range === "live" ? null : range, from: zoom ? String(zoom.from) : null, to: zoom ? String(zoom.to) : null };
}

/** The smallest bucket width of the hub, in seconds, with which this many seconds need at most `points` points. Wider than a day it is in whole days, and may need one point more. */
export function stepFor(seconds: number, points: number): number {
  return STEPS_S.find((step) => seconds / step + 1 <= points) ?? Math.ceil(seconds / points / 86_400) * 86_400;
}

/** Start and end of a time range, for at most `points` points. A range begins and ends on bucket borders, so that most buckets are the same a minute later. */
export function spanOf({ range, zoom }: TimeRange, now: number, points: number): Span {
  if (zoom) return zoom;
  const step = range === "live" ? 1 : stepFor(RANGES[range], points);
  const to = Math.ceil(now / step) * step;
  return { from: to - RANGES[range], to };
}

/** A window in whole seconds, of an allowed length and not in the future. */
export function clampSpan(from: number, to: number, now: number): Span {
  const end = Math.ceil(now);
  const length = Math.round(Math.min(MAX_SPAN_S, Math.max(MIN_SPAN_S, Math.abs(to - from))));
  const middle = (from + to) / 2;
  let start = Math.max(0, Math.floor(middle - length / 2));
  if (start + length > end) start = Math.max(0, end - length);
  return { from: start, to: start + length };
}

/** A window from two typed times. It ends now at the latest, and starts earlier than typed only if the typed start makes it too short. */
export function typedSpan(from: number, to: number, now: number): Span {
  const end = Math.ceil(Math.min(Math.max(to, from + MIN_SPAN_S), now));
  return { from: Math.max(0, Math.floor(Math.min(from, end - MIN_SPAN_S))), to: end };
}

/** A window of the same length, moved by a share of itself; a negative share moves it back. */
export function panSpan({ from, to }: Span, share: number, now: number): Span {
  const by = (to - from) * share;
  return clampSpan(from + by, to + by, now);
}

/** A window scaled by a factor around a moment. */
export function zoomSpan({ from, to }: Span, factor: number, centre: number, now: number): Span {
  return clampSpan(centre - (centre - from) * factor, centre + (to - centre) * factor, now);
}

/** A text that names the time range: two ranges have the same key only if they are equal. A fixed window hides its range. */
export const timeRangeKey = ({ range, zoom }: TimeRange): string => (zoom ? `${zoom.from}-${zoom.to}` : range);
