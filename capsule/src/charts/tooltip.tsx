/** The values and marks at a moment of a chart, or how long data is missing. */

import { marksNear, type ChartMark } from "../core/charts/chart-marks";
import type { ValueFormat } from "../core/charts/value-format";
import { age, clock, date, sameDay, t, tElements } from "../core/text";
import { findGaps, seriesGaps, sampleRow } from "../core/charts/window";
import { hostClock } from "../core/text/host-clock";
import type { ChartProps } from "./types";

const DAY_S = 86_400;

export interface Moment {
  /** The time of the nearest sample; without one, the requested time. */
  at: number;
  values: (number | null)[];
  /** Minimum and maximum of the bucket, if known. */
  range: (readonly [number, number] | null)[];
  /** For each line, the seconds without data while other lines have some; 0 = no such gap. Empty if all lines are of one server, or none has data. */
  gaps: number[];
  /** Seconds without data around this moment; 0 = there is data. */
  missing: number;
  marks: ChartMark[];
}

/** The data at a moment. Marks at most `reach` seconds away belong to it. */
export function momentAt({ data, group }: ChartProps, at: number, reach: number): Moment {
  const { columns, from, since, to, gapS, band, apart } = data;
  const marks = marksNear(group.marks, at, reach);
  const missing = findGaps(columns, Math.max(from, since), to, gapS).find((one) => at > one.from && at < one.to);
  if (missing) return { at, values: [], range: [], gaps: [], missing: missing.to - missing.from, marks };
  const limit = Number.isFinite(gapS) ? gapS : to - from;
  const rows = columns.values.map((column) => sampleRow(columns.times, column, at, limit));
  const gaps = (apart ? seriesGaps(columns, from, to, gapS, apart) : [])
    .map((own) => own.find((one) => at > one.from && at < one.to))
    .map((one) => (one ? one.to - one.from : 0));
  const nearest = rows.filter((row) => row >= 0).map((row) => columns.times[row] as number);
  return {
    at: nearest.length ? nearest.reduce((best, one) => (Math.abs(one - at) < Math.abs(best - at) ? one : best)) : at,
    values: rows.map((row, index) => (gaps[index] ? null : (columns.values[index]?.[row] ?? null))),
    gaps,
    range: rows.map((row, index) => {
      const [low, high] = [band?.min[index]?.[row], band?.max[index]?.[row]];
      return low == null || high == null || low === high ? null : [low, high];
    }),
    missing: 0,
    marks,
  };
}

/** The text for a line without a value. `gap`: seconds without data; 0 = unknown. */
const absent = (gap = 0): string => (gap > 0 ? t`no data ${age(gap)}` : "—");

/** For example "9.1%–9.4%"; empty if both ends have the same text. */
export function rangeText({ row }: ValueFormat, [low, high]: readonly [number, number]): string {
  const [from, to] = row([low, high]);
  // For sizes and rates, `row` writes a common unit after the second number only.
  return from === to || to?.startsWith(`${from}\u00a0`) ? "" : `${from}–${to}`;
}

export function timeText(at: number, { from, to }: { from: number; to: number }, now = Date.now() / 1000): string {
  return to - from > DAY_S || !sameDay(at, now) ? `${date(at, now)}, ${clock(at)}` : clock(at);
}

/** The moment as one sentence for screen readers. */
export function momentSentence({ series, words, data }: ChartProps, moment: Moment): string {
  const values =
    moment.missing > 0
      ? t`no data for ${age(moment.missing)}`
      : series
          .map((one, index) => `${one.name} ${moment.values[index] == null ? t`no data` : words.text(moment.values[index] as number)}`)
          .join(", ");
  return [`${timeText(moment.at, data)}: ${values}`, ...moment.marks.map((mark) => mark.text)].join("; ");
}

export function Tooltip({ props, moment, left, width }: { props: ChartProps; moment: Moment; left: number; width: number }) {
  const { series, words, threshold, group, data } = props;
  const there = hostClock(moment.at, group.zone);
  return (
    <div class="plot-tip" style={left > width - 210 ? { right: `${width - left + 14}px` } : { left: `${left + 14}px` }}>
      <p>
        {timeText(moment.at, data)}
        {there && <> · {there}</>}
      </p>
      {moment.missing > 0 ? (
        <div>{t`no data ${age(moment.missing)}`}</div>
      ) : (
        series.map((one, index) => {
          const value = moment.values[index];
          const range = moment.range[index];
          return (
            <div key={one.name}>
              <i class={`key-${one.colour}`} />
              {one.name}
              <b>{value == null ? absent(moment.gaps[index]) : words.text(value)}</b>
              {range && value != null && <span class="t3">{rangeText(words, range)}</span>}
            </div>
          );
        })
      )}
      {threshold && <div class="t3">{tElements`threshold ${<b class={threshold.level}>{words.axis(threshold.at)}</b>}`}</div>}
      {moment.marks.map((mark) => (
        <div key={`${mark.at}${mark.text}`} class={mark.level}>
          <span class="cut">{mark.text}</span>
        </div>
      ))}
    </div>
  );
}
