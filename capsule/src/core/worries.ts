/** The one thing about a node that is to be known first, in words. */

import { above, cpuLevel, fillLevel, heatLevel, type Level } from "./facts";
import { t } from "./say";
import { labelled, type SampleLike } from "./series";
import type { Settled } from "./settle";
import { degrees, percent, share } from "./units";

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
    found.push({ level: fillLevel(part), title: t`${mount} is ${percent(part)} full.`, mount });
  }
  for (const [mount, used] of labelled(latest, "filesystem.inodes_used")) found.push({ level: above(used.value, 85, 95), title: t`${mount} has used ${percent(used.value)} of its inodes.`, mount: "" });
  const memory = share(latest["memory.used"]?.value, latest["memory.total"]?.value);
  found.push({ level: fillLevel(memory), title: t`Memory is ${percent(memory)} full.`, mount: "" });
  const cpu = settled?.value ?? latest["cpu.total"]?.value ?? null;
  found.push({ level: settled?.level ?? cpuLevel(cpu), title: t`CPU is at ${percent(cpu)}.`, mount: "" });
  for (const [sensor, sample] of labelled(latest, "temperature")) found.push({ level: heatLevel(sample.value), title: t`${sensor} is at ${degrees(sample.value)}.`, mount: "" });
  const worst = found.reduce<(typeof found)[number] | null>((best, one) => (order(one.level) > order(best?.level ?? "") ? one : best), null);
  return worst && worst.level ? { level: worst.level, title: worst.title, mount: worst.mount } : null;
}
