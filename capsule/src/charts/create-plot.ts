/** Creates the plot of a chart: scales, axes, lines, bands. The plot reads everything that changes with a sample from its `PlotState`. */

import type uPlot from "uplot";
import { clock, day } from "../core/text";
import { isolatedRows, stacked, type Cell } from "../core/charts/window";
import { drawGaps, drawMarks, drawThreshold, FONT, forgetTokens, token } from "./draw-overlays";
import type { ChartProps, Library } from "./types";

/** The least width of the value axis in CSS pixels. */
const AXIS = 46;
const AXIS_GAP = 4;
const BINARY_STEPS = Array.from({ length: 50 }, (_, power) => 2 ** power);
/** The value axis may shrink this long after it last changed, or as soon as the chart shows another window. */
const SHRINK_MS = 30_000;
const LEAST_DRAG_PX = 8;
const DAY_S = 86_400;
/** One pixel on a screen with one device pixel per CSS pixel: without a GPU a wider line takes five times the work. */
const lineWidth = (): number => (devicePixelRatio > 1 ? 1.5 : 1);

/** All drawing reads this, so that a new sample needs no new plot. */
export interface PlotState {
  props: ChartProps;
  /** The upper end of the value axis, the `performance.now()` when it was set, and the key of the window for which it was set. */
  top: number;
  topAt: number;
  window: string;
}

export interface PlotHooks {
  onCursor: (plot: uPlot) => void;
}

function faded(colour: string, share: number): string {
  return (
    colour +
    Math.round(share * 255)
      .toString(16)
      .padStart(2, "0")
  );
}

/** The width and the left edge of the plot area in CSS pixels. */
export const widthOf = ({ bbox }: uPlot): number => bbox.width / devicePixelRatio;
export const leftOf = ({ bbox }: uPlot): number => bbox.left / devicePixelRatio;

const widths = new Map<string, number>();

/** The width of the value axis in CSS pixels: marks vary in length ("40%", "3.73 GiB"). */
function axisWidth({ ctx }: uPlot, marks: readonly string[] | null): number {
  return (marks ?? []).reduce((widest, mark) => {
    let width = widths.get(mark);
    if (width === undefined) {
      ctx.save();
      ctx.font = FONT;
      width = Math.ceil(ctx.measureText(mark).width) + 2 * AXIS_GAP;
      ctx.restore();
      if (widths.size > 500) widths.clear();
      widths.set(mark, width);
    }
    return Math.max(widest, width);
  }, AXIS);
}

export function columnsOf({ data: { columns, band }, series }: Pick<ChartProps, "data" | "series">): uPlot.AlignedData {
  const drawn = (values: readonly Cell[], index: number): readonly Cell[] => {
    const base = series[index]?.stackedOn;
    return base === undefined ? values : stacked(values, columns.values[base] ?? []);
  };
  const rows: unknown[] = columns.values.map(drawn);
  if (band) columns.values.forEach((_, index) => rows.push(drawn(band.max[index] ?? [], index), drawn(band.min[index] ?? [], index)));
  return [columns.times, ...rows] as uPlot.AlignedData;
}

/** The upper end of the value axis: grows immediately and shrinks late, so that the lines do not jump. Stores the end in `held`. */
function topOf(held: PlotState): number {
  const { max, data } = held.props;
  if (max !== undefined) return max;
  let highest = 0;
  const { times, values } = data.columns;
  for (const column of data.band?.max ?? values) {
    for (let row = 0; row < times.length; row += 1) {
      const value = column[row];
      if (value != null && value > highest && (times[row] as number) >= data.from && (times[row] as number) <= data.to) highest = value;
    }
  }
  const wanted = Math.max(highest * 1.15, 1e-9);
  const now = performance.now();
  if (wanted >= held.top || held.window !== data.window || now - held.topAt > SHRINK_MS) {
    held.top = wanted;
    held.topAt = now;
    held.window = data.window;
  }
  return held.top;
}

export function createPlot(library: Library, box: HTMLElement, held: PlotState, { onCursor }: PlotHooks): uPlot {
  const { series, binary } = held.props;
  forgetTokens();
  const text = token("--text-3");
  const fill = Number(token("--c-fill")) || 0.1;
  const drawn: uPlot.Series[] = series.map(({ name, colour, filled, dashed }, index) => {
    const stroke = token(`--c${colour}`);
    return {
      label: name,
      stroke,
      width: lineWidth(),
      points: { show: true, size: 4, fill: stroke, filter: () => isolatedRows(held.props.data.columns.values[index] ?? []) },
      spanGaps: false,
      ...(filled ? { fill: faded(stroke, fill) } : {}),
      ...(dashed ? { dash: [4, 3] } : {}),
    };
  });
  const bands: uPlot.Band[] = series.flatMap(({ colour, stackedOn }, index) =>
    stackedOn === undefined
      ? []
      : [{ series: [index + 1, stackedOn + 1] as [number, number], fill: faded(token(`--c${colour}`), 2 * fill) }],
  );
  if (held.props.data.band) {
    series.forEach(({ colour }) => {
      const edge: uPlot.Series = { stroke: "transparent", width: 0, points: { show: false }, spanGaps: false };
      const first = drawn.length + 1;
      drawn.push(edge, { ...edge });
      bands.push({ series: [first, first + 1], fill: faded(token(`--c${colour}`), fill * 1.6) });
    });
  }
  return new library(
    {
      width: Math.max(50, box.clientWidth - 6),
      height: Math.max(50, box.clientHeight - 2),
      padding: [8, 14, 0, 0],
      legend: { show: false },
      cursor: {
        points: { size: 6 },
        drag: { x: true, y: false, setScale: false },
        bind: {
          dblclick: () => () => {
            held.props.group.onReset();
            return null;
          },
        },
      },
      scales: {
        x: { time: true, range: () => [held.props.data.from, held.props.data.to] },
        y: { range: () => [held.props.min ?? 0, topOf(held)] },
      },
      axes: [
        {
          stroke: text,
          font: FONT,
          grid: { show: false },
          ticks: { show: false },
          size: 24,
          space: 54,
          // A label that would be cut off at the right edge is left out.
          values: (plot, splits, _axis, _space, increment) =>
            splits.map((at) =>
              plot.valToPos(at, "x") > widthOf(plot) - 10 ? "" : increment >= DAY_S || midnight(at) ? day(at) : clock(at, increment < 60),
            ),
        },
        {
          stroke: text,
          font: FONT,
          grid: { stroke: token("--grid"), width: 1 },
          ticks: { show: false },
          size: (plot, marks) => axisWidth(plot, marks),
          gap: AXIS_GAP,
          space: 34,
          ...(binary ? { incrs: BINARY_STEPS } : {}),
          values: (_plot, splits) => splits.map(held.props.words.axis),
        },
      ],
      series: [{}, ...drawn],
      bands,
      hooks: {
        draw: [(plot) => drawThreshold(plot, held.props), (plot) => drawGaps(plot, held.props), (plot) => drawMarks(plot, held.props)],
        setCursor: [onCursor],
        setSelect: [
          (plot) => {
            if (plot.select.width < LEAST_DRAG_PX) return;
            held.props.group.onZoom(plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x"));
            plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          },
        ],
      },
    },
    columnsOf(held.props),
    box,
  );
}

/** Whether a time is the first second of a day in the time zone of the browser. The label of such a time is the day. */
function midnight(at: number): boolean {
  const date = new Date(at * 1000);
  return date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0;
}
