/** The one thing about a node that is to be known first, in words; and when a disk that grows will be full. */

import { above, cpuLevel, fillLevel, heatLevel, type Level } from "./facts";
import { labelled, type SampleLike } from "./series";
import type { Settled } from "./settle";
import { duration } from "./time";
import { degrees, percent, share, size } from "./units";

export interface Worry {
  level: "warn" | "crit";
  title: string;
  /** The mount that is nearly full, whose growth is worth a look. */
  mount: string;
}

const order = (level: Level): number => (level === "crit" ? 2 : level === "warn" ? 1 : 0);

/** The worst of what is measured; of equals a disk first, since it does not pass by itself. `settled`: the CPU of the last seconds. */
export function worstOf(latest: Readonly<Record<string, SampleLike>>, settled: Settled | null = null): Worry | null {
  const found: { level: Level; title: string; mount: string }[] = [];
  const sizes = labelled(latest, "filesystem.size");
  for (const [mount, used] of labelled(latest, "filesystem.used")) {
    const part = share(used.value, sizes.get(mount)?.value);
    found.push({ level: fillLevel(part), title: `${mount} is ${percent(part)} full.`, mount });
  }
  for (const [mount, used] of labelled(latest, "filesystem.inodes_used")) found.push({ level: above(used.value, 85, 95), title: `${mount} has used ${percent(used.value)} of its inodes.`, mount: "" });
  const memory = share(latest["memory.used"]?.value, latest["memory.total"]?.value);
  found.push({ level: fillLevel(memory), title: `Memory is ${percent(memory)} full.`, mount: "" });
  const cpu = settled?.value ?? latest["cpu.total"]?.value ?? null;
  found.push({ level: settled?.level ?? cpuLevel(cpu), title: `CPU is at ${percent(cpu)}.`, mount: "" });
  for (const [sensor, sample] of labelled(latest, "temperature")) found.push({ level: heatLevel(sample.value), title: `${sensor} is at ${degrees(sample.value)}.`, mount: "" });
  const worst = found.reduce<(typeof found)[number] | null>((best, one) => (order(one.level) > order(best?.level ?? "") ? one : best), null);
  return worst && worst.level ? { level: worst.level, title: worst.title, mount: worst.mount } : null;
}

const HOUR_S = 3600;
const LEAST_S = HOUR_S;
const FAR_S = 30 * 86_400;

/** Least squares over what is known; bytes a second, null where it is too short to say. */
export function slope(times: readonly number[], values: readonly (number | null)[]): number | null {
  const known = times.flatMap((at, row) => (values[row] == null ? [] : [[at, values[row] as number] as const]));
  const [first, last] = [known[0], known.at(-1)];
  if (!first || !last || known.length < 3 || last[0] - first[0] < LEAST_S) return null;
  const middle = known.reduce((sum, [at]) => sum + at, 0) / known.length;
  const mean = known.reduce((sum, [, value]) => sum + value, 0) / known.length;
  let [above, below] = [0, 0];
  for (const [at, value] of known) {
    above += (at - middle) * (value - mean);
    below += (at - middle) ** 2;
  }
  return above / below;
}

/** "Grows 12.4 GiB/h, fills in about 9 h."; empty where it does not grow, or would not be full within a month. */
export function forecast(bytesPerSecond: number | null, used: number | null, whole: number | null): string {
  if (bytesPerSecond === null || used === null || whole === null || bytesPerSecond <= 0) return "";
  const left = Math.max(0, whole - used) / bytesPerSecond;
  if (left > FAR_S) return "";
  return `Grows ${size(bytesPerSecond * HOUR_S)}/h, fills in about ${duration(Math.max(60, left)).split(" ")[0]}.`;
}
