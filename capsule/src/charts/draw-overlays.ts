/** Drawing over the lines: gaps, thresholds, and marks of jobs, events and restarts. */

import type uPlot from "uplot";
import { t } from "../core/text";
import { findGaps, seriesGaps, type Gap } from "../core/charts/window";
import type { ChartProps } from "./types";

export const FONT = '11px "Inter V", system-ui, sans-serif';
const MARK_PX = 5;
/** In a narrower chart the label of a restart would cover the values, so it is left out. */
const LABELLED_WIDTH_PX = 480;

const tokens = new Map<string, string>();

/** A colour of the theme. Cached, because reading it while drawing forces a style computation. */
export function token(name: string): string {
  let colour = tokens.get(name);
  if (colour === undefined) tokens.set(name, (colour = getComputedStyle(document.documentElement).getPropertyValue(name).trim()));
  return colour;
}

/** Call this when the theme may have changed. */
export const forgetTokens = (): void => tokens.clear();

/** The height of the strip that shows the gaps of one line among several. */
const STRIP_PX = 5;

export function drawGaps(plot: uPlot, { data, series }: ChartProps): void {
  const { ctx, bbox } = plot;
  const { columns, from, since, to, gapS, apart } = data;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.lineWidth = ratio;
  ctx.setLineDash([]);
  hatch(plot, findGaps(columns, Math.max(from, since), to, gapS), token("--line-2"), bbox.top, bbox.height);
  // A gap of one line only is a strip at the bottom, in the colour of the line.
  let bottom = bbox.top + bbox.height;
  (apart ? seriesGaps(columns, from, to, gapS, apart) : []).forEach((own, index) => {
    if (!own.length) return;
    bottom -= STRIP_PX * ratio;
    hatch(plot, own, token(`--c${series[index]?.colour ?? 5}`), bottom, (STRIP_PX - 1) * ratio);
  });
  ctx.restore();
}

function hatch({ ctx, bbox, valToPos }: uPlot, found: readonly Gap[], colour: string, top: number, height: number): void {
  const right = bbox.left + bbox.width;
  ctx.strokeStyle = colour;
  for (const gap of found) {
    const left = Math.max(bbox.left, valToPos(gap.from, "x", true));
    const end = Math.min(right, valToPos(gap.to, "x", true));
    if (end - left < 2) continue;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, end - left, height);
    ctx.clip();
    // One grid for the whole plot: the hatching does not move while a gap grows.
    const step = Math.min(6, height / devicePixelRatio) * devicePixelRatio;
    for (let x = bbox.left - Math.ceil(height / step) * step; x < end; x += step) {
      if (x + height < left) continue;
      ctx.beginPath();
      ctx.moveTo(x, top + height);
      ctx.lineTo(x + height, top);
      ctx.stroke();
    }
    ctx.restore();
  }
}

export function drawThreshold({ ctx, bbox, valToPos }: uPlot, { threshold }: ChartProps): void {
  if (!threshold) return;
  const ratio = devicePixelRatio;
  const y = valToPos(threshold.at, "y", true);
  if (y < bbox.top || y > bbox.top + bbox.height) return;
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

/** Draws jobs and events as small triangles on the axis: jobs point up, events point down. A restart is a line, with a label on a wide chart. */
export function drawMarks({ ctx, bbox, valToPos }: uPlot, { group: { marks } }: ChartProps): void {
  const ratio = devicePixelRatio;
  const size = MARK_PX * ratio;
  const bottom = bbox.top + bbox.height;
  ctx.save();
  for (const { at, kind, level } of marks) {
    const x = Math.round(valToPos(at, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    const colour = token(level ? `--${level}-f` : kind === "job" ? "--accent" : "--text-3");
    ctx.beginPath();
    if (kind === "restart") {
      ctx.strokeStyle = colour;
      ctx.setLineDash([3 * ratio, 3 * ratio]);
      ctx.lineWidth = ratio;
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bottom);
      ctx.stroke();
      if (bbox.width < LABELLED_WIDTH_PX * ratio) continue;
      ctx.fillStyle = colour;
      ctx.font = FONT.replace("11px", `${11 * ratio}px`);
      const late = x > bbox.left + bbox.width - 60 * ratio;
      ctx.textAlign = late ? "right" : "left";
      ctx.textBaseline = "top";
      ctx.fillText(t`restarted`, x + (late ? -4 : 4) * ratio, bbox.top);
      continue;
    }
    const up = kind === "job";
    ctx.fillStyle = colour;
    ctx.moveTo(x, up ? bottom - size * 1.6 : bottom);
    ctx.lineTo(x - size, up ? bottom : bottom - size * 1.6);
    ctx.lineTo(x + size, up ? bottom : bottom - size * 1.6);
    ctx.fill();
  }
  ctx.restore();
}
