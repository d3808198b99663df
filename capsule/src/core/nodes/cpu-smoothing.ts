/** CPU use smoothed over a few seconds: one busy second is no issue, and an issue does not flicker with each sample. */

import { above, type Level } from "./node-status";

export interface SmoothedCpu {
  /** Percent; a sample loses half of its weight in seven seconds. */
  value: number;
  at: number;
  level: Level;
}

const TAU_S = 10;
/** After this long without a sample the old value is dropped. */
const FORGET_S = 60;
const WARN = 80;
const CRIT = 92;
/** An issue ends this far below its threshold. */
const SLACK = 5;

/** The value from which an issue continues. */
export const holdThreshold = (level: Level): number => (level === "crit" ? CRIT : WARN) - SLACK;

export function smoothCpu(before: SmoothedCpu | null, value: number, at: number): SmoothedCpu {
  if (!before || at - before.at > FORGET_S) return { value, at, level: above(value, WARN, CRIT) };
  const next = before.value + (value - before.value) * (1 - Math.exp(-Math.max(0, at - before.at) / TAU_S));
  const level = above(next, before.level ? WARN - SLACK : WARN, before.level === "crit" ? CRIT - SLACK : CRIT);
  return { value: next, at, level };
}
