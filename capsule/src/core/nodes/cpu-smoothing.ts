/** A node's CPU as a matter of some seconds: one busy second is no trouble, and what is in trouble does not come and go with each sample. */

import { above, type Level } from "./node-status";

export interface SmoothedCpu {
  /** Percent; the weight of a second halves in seven. */
  value: number;
  at: number;
  level: Level;
}

const TAU_S = 10;
/** After so long without a sample the past says nothing any more. */
const FORGET_S = 60;
const WARN = 80;
const CRIT = 92;
/** So far below its threshold it ends. */
const SLACK = 5;

/** From where on it is in trouble, and stays so. */
export const holdThreshold = (level: Level): number => (level === "crit" ? CRIT : WARN) - SLACK;

export function smoothCpu(before: SmoothedCpu | null, value: number, at: number): SmoothedCpu {
  if (!before || at - before.at > FORGET_S) return { value, at, level: above(value, WARN, CRIT) };
  const next = before.value + (value - before.value) * (1 - Math.exp(-Math.max(0, at - before.at) / TAU_S));
  const level = above(next, before.level ? WARN - SLACK : WARN, before.level === "crit" ? CRIT - SLACK : CRIT);
  return { value: next, at, level };
}
