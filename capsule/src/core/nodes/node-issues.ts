/** The most important issue of a node, in plain words. */

import { cpuLevel, nodeStatusOf, levelsOf } from "./node-status";
import { t } from "../text/i18n";
import { labelled, type SampleLike } from "../metrics/series";
import type { SmoothedCpu } from "./cpu-smoothing";
import { degrees, percent } from "../text/units";

export interface NodeIssue {
  level: "warn" | "crit";
  title: string;
  /** The mount that is nearly full; its growth is shown too. */
  mount: string;
}

type Latest = Readonly<Record<string, SampleLike>>;

/** The mount or sensor that has this value. */
const whose = (latest: Latest, metric: string, value: number | null): string => [...labelled(latest, metric)].find(([, one]) => one.value === value)?.[0] ?? "";

/** The worst measured issue. Among equals a disk comes first, because it does not recover by itself. `settled` is the smoothed CPU. */
export function worstIssue(latest: Latest, settled: SmoothedCpu | null = null): NodeIssue | null {
  const status = nodeStatusOf({ latest });
  const { disk, mount, inodes, memory, cpu, temperature } = status;
  const levels = levelsOf(status, settled?.level ?? cpuLevel(cpu));
  const titles: Record<keyof typeof levels, () => string> = {
    disk: () => t`${mount} is ${percent(disk)} full.`,
    inodes: () => t`${whose(latest, "filesystem.inodes_used", inodes)} has used ${percent(inodes)} of its inodes.`,
    memory: () => t`Memory is ${percent(memory)} full.`,
    cpu: () => t`CPU is at ${percent(settled?.value ?? cpu)}.`,
    heat: () => t`${whose(latest, "temperature", temperature)} is at ${degrees(temperature)}.`,
  };
  const found = Object.keys(titles) as (keyof typeof levels)[];
  for (const level of ["crit", "warn"] as const) {
    const worst = found.find((one) => levels[one] === level);
    if (worst) return { level, title: titles[worst](), mount: worst === "disk" ? mount : "" };
  }
  return null;
}
