/** The data and options of a chart. */

import type { Signal } from "@preact/signals";
import type uPlot from "uplot";
import type { ValueFormat } from "../core/charts/value-format";
import type { ChartMark } from "../core/charts/chart-marks";
import type { ChartScale } from "../core/charts/chart-scale";
import type { Cell, Columns } from "../core/charts/window";

/** uPlot itself, which is loaded with the first chart. */
export type Library = typeof uPlot;

export type Colour = 1 | 2 | 3 | 4 | 5 | 6;

export interface ChartSeries {
  name: string;
  colour: Colour;
  filled?: boolean;
  dashed?: boolean;
  /** The index of the series on top of which this series is drawn. That series is not stacked itself. */
  stackedOn?: number;
}

export interface ChartData {
  columns: Columns;
  /** Minimum and maximum of each bucket, a column for each series, on the same times. */
  band?: { min: Cell[][]; max: Cell[][] };
  from: number;
  to: number;
  /** The time of the first possible sample. No gap begins before it. */
  since: number;
  /** More seconds than this without a sample are a gap. */
  gapS: number;
  /** Only for lines of different servers: the time of the first possible sample of each line. Each line then has its own gaps. */
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
  /** Scales the window by a factor around a moment. */
  onScale: (factor: number, centre: number) => void;
  onReset: () => void;
  /** The time zone of the servers; empty if it is unknown or they have more than one. */
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
