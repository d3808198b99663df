/** The data and options of a chart. */

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
  /** One of the chart colours. */
  colour: Colour;
  filled?: boolean;
  dashed?: boolean;
  /** The place of the series on whose line this one stands. It is not stacked itself. */
  stackedOn?: number;
}

export interface ChartData {
  columns: Columns;
  /** Minimum and maximum of each bucket, a pair for each series, on the same times. */
  band?: { min: Cell[][]; max: Cell[][] };
  from: number;
  to: number;
  /** Before this there was nothing to measure, so nothing is missing. */
  since: number;
  /** Seconds without a sample that count as a gap. */
  gapS: number;
  /** For lines of different servers: when each could have its first sample. Each line then has its own gaps. */
  apart?: readonly number[];
  /** The key of the window: the time scale changes with it, not with each sample. */
  window: string;
}

/** State that the charts of a page share. */
export interface ChartGroup {
  /** The moment under the pointer or keyboard cursor, in any chart; null = none. */
  cursor: Signal<number | null>;
  marks: readonly ChartMark[];
  onZoom: (from: number, to: number) => void;
  /** By keys: half or twice the length around a moment. */
  onScale: (factor: number, round: number) => void;
  onReset: () => void;
  /** The time zone of the server; empty if there is none, or more than one. */
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
