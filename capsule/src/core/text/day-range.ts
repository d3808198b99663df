/** A range of local days in the address, with its first and last day: `from=2026-11-24&to=2026-11-26`. */

export interface DayRange {
  /** A day such as "2026-11-24"; empty: no limit. */
  from: string;
  to: string;
}

export interface Span {
  /** The first moment, in Unix seconds; undefined: no limit. */
  from?: number | undefined;
  /** The end, which is not included; undefined: no limit. */
  to?: number | undefined;
}

/** The start of a local day, `plus` days later; NaN if there is no such day. */
function dayStart(text: string, plus: number): number {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text)?.map(Number) ?? [];
  const date = new Date(Number(year), Number(month) - 1, Number(day));
  if (date.getMonth() !== Number(month) - 1) return NaN;
  date.setDate(date.getDate() + plus); // adding 24 hours would be wrong: a day on which clocks change has 23 or 25
  return date.getTime() / 1000;
}

/** The days in the address. Invalid ones are ignored. */
export function parseDays(get: (name: string) => string | null): DayRange {
  const valid = (text: string | null): string => (text && Number.isFinite(dayStart(text, 0)) ? text : "");
  return { from: valid(get("from")), to: valid(get("to")) };
}

export const spanOf = ({ from, to }: DayRange): Span => ({
  from: from ? dayStart(from, 0) : undefined,
  to: to ? dayStart(to, 1) : undefined,
});

export const isWithin = (at: number, { from, to }: Span): boolean => (from === undefined || at >= from) && (to === undefined || at < to);
