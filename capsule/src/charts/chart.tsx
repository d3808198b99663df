/**
 * The one place that knows uPlot. Columns in; a gap is a null, drawn as a hatched stretch and never bridged.
 *
 * Colours come from the design tokens and are read again when the theme changes.
 */

import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { clock, day } from "../core/time";
import { holes, type Columns } from "../core/window";

export interface ChartSeries {
  name: string;
  /** 1–6: which of the chart colours. */
  colour: 1 | 2 | 3 | 4 | 5 | 6;
  filled?: boolean;
  dashed?: boolean;
}

export interface ChartData {
  columns: Columns;
  /** Lowest and highest of each bucket, one pair a series, on the same times. */
  band?: { min: (number | null)[][]; max: (number | null)[][] };
  from: number;
  to: number;
  /** Before this there was nothing to measure, so nothing is missing. */
  since: number;
  /** Seconds without a sample that make a hole. */
  hole: number;
}

export interface ChartProps {
  label: string;
  series: readonly ChartSeries[];
  data: ChartData;
  shade: string;
  min?: number;
  /** A fixed top; else it follows the values, growing at once and shrinking late. */
  max?: number;
  /** Marks of the axis at powers of two: sizes in GiB. */
  binary?: boolean;
  threshold?: { at: number; level: "warn" | "crit" };
  axis: (value: number) => string;
  value: (value: number) => string;
  /** Drag over a stretch. */
  onZoom?: (from: number, to: number) => void;
}

const FONT = '11px "Inter V", system-ui, sans-serif';
const BINARY_STEPS = Array.from({ length: 50 }, (_, power) => 2 ** power);
const SHRINK_MS = 30_000;
const SYNC = uPlot.sync("node");

const token = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function faded(colour: string, share: number): string {
  return colour + Math.round(share * 255).toString(16).padStart(2, "0");
}

interface Tip {
  left: number;
  at: number;
  values: (number | null)[];
  /** Seconds without data round this moment; 0 = there is data. */
  missing: number;
}

/** Everything that is drawn reads this, so that a new sample needs no new chart. */
interface Held {
  props: ChartProps;
  top: number;
  topAt: number;
}

function columnsOf({ columns, band }: ChartData): uPlot.AlignedData {
  const rows: (number | null)[][] = [...columns.values];
  if (band) columns.values.forEach((_, index) => rows.push(band.max[index] ?? [], band.min[index] ?? []));
  return [columns.times, ...rows] as uPlot.AlignedData;
}

function topOf(held: Held): number {
  const { max, data } = held.props;
  if (max !== undefined) return max;
  let highest = 0;
  for (const column of data.band?.max ?? data.columns.values) for (const value of column) if (value !== null && value > highest) highest = value;
  const wanted = Math.max(highest * 1.15, 1e-9);
  const now = performance.now();
  if (wanted >= held.top || now - held.topAt > SHRINK_MS || held.top > wanted * 4) {
    held.top = wanted;
    held.topAt = now;
  }
  return held.top;
}

function drawHoles(plot: uPlot, held: Held): void {
  const { data } = held.props;
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  const right = bbox.left + bbox.width;
  for (const hole of holes(data.columns, Math.max(data.from, data.since), data.to, data.hole)) {
    const left = Math.max(bbox.left, plot.valToPos(hole.from, "x", true));
    const end = Math.min(right, plot.valToPos(hole.to, "x", true));
    if (end - left < 2) continue;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, bbox.top, end - left, bbox.height);
    ctx.clip();
    ctx.strokeStyle = token("--line-2");
    ctx.lineWidth = ratio;
    ctx.setLineDash([]);
    for (let x = left - bbox.height; x < end; x += 6 * ratio) {
      ctx.beginPath();
      ctx.moveTo(x, bbox.top + bbox.height);
      ctx.lineTo(x + bbox.height, bbox.top);
      ctx.stroke();
    }
    ctx.restore();
  }
}

function drawThreshold(plot: uPlot, { props: { threshold } }: Held): void {
  if (!threshold) return;
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  const y = plot.valToPos(threshold.at, "y", true);
  ctx.save();
  ctx.strokeStyle = token(`--${threshold.level}-f`);
  ctx.setLineDash([4 * ratio, 4 * ratio]);
  ctx.lineWidth = ratio;
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.restore();
}

function make(box: HTMLElement, held: Held, onTip: (tip: Tip | null) => void): uPlot {
  const { series, axis, binary } = held.props;
  const text = token("--text-3");
  const fill = Number(token("--c-fill")) || 0.1;
  const drawn: uPlot.Series[] = series.map(({ name, colour, filled, dashed }) => {
    const stroke = token(`--c${colour}`);
    return { label: name, stroke, width: 1.5, points: { show: false }, spanGaps: false, ...(filled ? { fill: faded(stroke, fill) } : {}), ...(dashed ? { dash: [4, 3] } : {}) };
  });
  const bands: uPlot.Band[] = [];
  if (held.props.data.band) {
    series.forEach(({ colour }, index) => {
      const edge: uPlot.Series = { stroke: "transparent", width: 0, points: { show: false }, spanGaps: false };
      const first = drawn.length + 1;
      drawn.push(edge, { ...edge });
      bands.push({ series: [first, first + 1], fill: faded(token(`--c${series[index]?.colour ?? colour}`), 0.16) });
    });
  }
  return new uPlot(
    {
      width: Math.max(50, box.clientWidth - 6),
      height: Math.max(50, box.clientHeight - 2),
      padding: [8, 14, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: SYNC.key }, points: { size: 6 }, drag: { x: true, y: false, setScale: false } },
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
          values: (plot, splits, _axis, _space, increment) => splits.map((at) => (plot.valToPos(at, "x") > plot.over.clientWidth - 10 ? "" : increment >= 86_400 ? day(at) : clock(at, increment < 60))),
        },
        { stroke: text, font: FONT, grid: { stroke: token("--grid"), width: 1 }, ticks: { show: false }, size: 46, gap: 4, space: 34, ...(binary ? { incrs: BINARY_STEPS } : {}), values: (_plot, splits) => splits.map(axis) },
      ],
      series: [{}, ...drawn],
      bands,
      hooks: {
        draw: [(plot) => drawThreshold(plot, held), (plot) => drawHoles(plot, held)],
        setCursor: [(plot) => onTip(tipAt(plot, held))],
        setSelect: [
          (plot) => {
            if (plot.select.width < 8) return;
            held.props.onZoom?.(plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x"));
            plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          },
        ],
      },
    },
    columnsOf(held.props.data),
    box,
  );
}

/** The words under the pointer; other charts of the page show only the line. */
function tipAt(plot: uPlot, held: Held): Tip | null {
  const { left, idx, event } = plot.cursor;
  if (left === undefined || left < 0 || idx == null || !event || !plot.over.matches(":hover")) return null;
  const { columns, from, since, to, hole } = held.props.data;
  const at = columns.times[idx];
  if (at === undefined) return null;
  const pointed = plot.posToVal(left, "x");
  const missing = holes(columns, Math.max(from, since), to, hole).find((one) => pointed > one.from && pointed < one.to);
  return {
    left: left + 46,
    at: missing ? pointed : at,
    values: missing ? [] : columns.values.map((column) => column[idx] ?? null),
    missing: missing ? missing.to - missing.from : 0,
  };
}

export function Chart(props: ChartProps): VNode {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const held = useRef<Held>({ props, top: 0, topAt: 0 });
  const [tip, setTip] = useState<Tip | null>(null);
  held.current.props = props;
  const shape = `${props.shade}|${props.data.band ? "band" : ""}|${props.series.map((one) => `${one.name}${one.colour}`).join()}`;
  useEffect(() => {
    const element = box.current as HTMLDivElement;
    let gone = false;
    const build = (): void => {
      if (gone) return;
      plot.current = make(element, held.current, setTip);
    };
    // Words on a canvas need their font before the first stroke, or they fall back to another one for good.
    document.fonts.load(FONT).then(build, build);
    const sized = new ResizeObserver(() => plot.current?.setSize({ width: Math.max(50, element.clientWidth - 6), height: Math.max(50, element.clientHeight - 2) }));
    sized.observe(element);
    return () => {
      gone = true;
      sized.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shape]);
  useEffect(() => {
    plot.current?.setData(columnsOf(props.data));
  }, [props.data, shape]);
  const width = box.current?.clientWidth ?? 0;
  return (
    <div
      class="plot"
      ref={box}
      role="img"
      tabIndex={0}
      aria-label={`${props.label} over time. View as table for the values.`}
      onMouseLeave={() => setTip(null)}
      onKeyDown={(event) => {
        const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
        const chart = plot.current;
        if (!step || !chart) return;
        event.preventDefault();
        const { times } = props.data.columns;
        const next = Math.max(0, Math.min(times.length - 1, (chart.cursor.idx ?? times.length - 1) + step));
        chart.setCursor({ left: chart.valToPos(times[next] ?? 0, "x"), top: 10 });
      }}
    >
      {tip && (
        <div class="plot-tip" style={tip.left > width - 190 ? { right: `${width - tip.left + 14}px` } : { left: `${tip.left + 14}px` }}>
          <p>{clock(tip.at)}</p>
          {tip.missing > 0 ? (
            <div>no data for {Math.round(tip.missing)} s</div>
          ) : (
            props.series.map((one, index) => (
              <div key={one.name}>
                <i class={`key-${one.colour}`} />
                {one.name}
                <b>{tip.values[index] == null ? "—" : props.value(tip.values[index] as number)}</b>
              </div>
            ))
          )}
        </div>
      )}
    </div>
  );
}
