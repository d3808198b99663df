/** What a chart is told. */

import type { Signal } from "@preact/signals";
import type uPlot from "uplot";
import type { ValueFormat } from "../core/charts/value-format";
import type { ChartMark } from "../core/charts/chart-marks";
import type { ChartScale } from "../core/charts/chart-scale";
import type { Cell, Columns } from "../core/charts/window";

/** uPlot itself: fetched with the first chart. */
export type Library = typeof uPlot;

export type Colour = 1 | 2 | 3 | 4 | 5 | 6;

export interface ChartSeries {
  name: string;
  /** Which of the chart colours. */
  colour: Colour;
  filled?: boolean;
  dashed?: boolean;
}

export interface ChartData {
  columns: Columns;
  /** Lowest and highest of each bucket, one pair a series, on the same times. */
  band?: { min: Cell[][]; max: Cell[][] };
  from: number;
  to: number;
  /** Before this there was nothing to measure, so nothing is missing. */
  since: number;
  /** Seconds without a sample that make a hole. */
  hole: number;
  /** Of lines of different servers: since when each had something to measure. Each has holes of its own then. */
  apart?: readonly number[];
  /** Another window is another scale: changes with it, not with each sample. */
  window: string;
}

/** What the charts of a page share. */
export interface ChartGroup {
  /** The moment under the pointer or at the keys, in whichever chart; null = nowhere. */
  cursor: Signal<number | null>;
  marks: readonly ChartMark[];
  onZoom: (from: number, to: number) => void;
  /** By keys: half as long or twice as long round a moment. */
  onScale: (factor: number, round: number) => void;
  onReset: () => void;
  /** The time zone of what is shown; empty where there is none or more than one. */
  zone: string;
}

export interface ChartProps extends ChartScale {
  label: string;
  series: readonly ChartSeries[];
  data: ChartData;
  group: ChartGroup;
  shade: string;
  words: ValueFormat;
}
