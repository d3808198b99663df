/** What a list shows of a node, worked out from its latest samples; and how much of a worry that is. */

import { labelled, type SampleLike } from "./series";
import { share } from "./units";

export type Level = "" | "warn" | "crit";
export type Standing = "ok" | "warn" | "crit" | "off" | "stale" | "wait";

export interface UpdatesLike {
  total: number | null;
  /** When the package lists that the count rests on were refreshed; null = never, or not all of them. */
  checked_at: number | null;
}

export interface NodeLike {
  state: "pending" | "online" | "offline";
  latest: Readonly<Record<string, SampleLike>>;
  identity: { cpu_cores: number };
  last_seen_at: number | null;
  updates: UpdatesLike;
}

export interface Facts {
  cpu: number | null;
  memory: number | null;
  memoryUsed: number | null;
  memoryTotal: number | null;
  disk: number | null;
  mount: string;
  received: number | null;
  sent: number | null;
  load: number | null;
  temperature: number | null;
  /** Of the newest one-second sample; null = none yet. */
  at: number | null;
}

export const STALE_S = 5;

const highest = (values: Iterable<number | null>): number | null => {
  let best: number | null = null;
  for (const value of values) if (value !== null && (best === null || value > best)) best = value;
  return best;
};

/** Sums a labelled metric (the loopback left out), or takes it from a summary that holds the sum under the bare name. */
function total(latest: NodeLike["latest"], metric: string): number | null {
  const bare = latest[metric];
  if (bare) return bare.value;
  let sum: number | null = null;
  for (const [label, sample] of labelled(latest, metric)) if (label !== "lo" && sample.value !== null) sum = (sum ?? 0) + sample.value;
  return sum;
}

function fullest(latest: NodeLike["latest"]): { disk: number | null; mount: string } {
  const sizes = labelled(latest, "filesystem.size");
  let disk: number | null = null;
  let mount = "";
  for (const [at, used] of labelled(latest, "filesystem.used")) {
    const part = share(used.value, sizes.get(at)?.value);
    if (part !== null && (disk === null || part > disk)) {
      disk = part;
      mount = at;
    }
  }
  return { disk, mount };
}

export function factsOf(node: NodeLike): Facts {
  const { latest } = node;
  const cpu = latest["cpu.total"];
  const temperatures = [...labelled(latest, "temperature").values()].map((sample) => sample.value);
  return {
    cpu: cpu?.value ?? null,
    memory: share(latest["memory.used"]?.value, latest["memory.total"]?.value),
    memoryUsed: latest["memory.used"]?.value ?? null,
    memoryTotal: latest["memory.total"]?.value ?? null,
    ...fullest(latest),
    received: total(latest, "network.received"),
    sent: total(latest, "network.sent"),
    load: latest["load.1"]?.value ?? null,
    temperature: latest["temperature"] ? latest["temperature"].value : highest(temperatures),
    at: cpu?.at ?? latest["load.1"]?.at ?? null,
  };
}

const OLD_LISTS_S = 7 * 86_400;

/** Whether the count of updates rests on package lists that are missing or old: then "nothing newer" says nothing. */
export const listsAreOld = ({ total, checked_at }: UpdatesLike, now: number): boolean => total !== null && (checked_at === null || now - checked_at > OLD_LISTS_S);

export const above = (value: number | null, warn: number, crit: number): Level => (value === null ? "" : value >= crit ? "crit" : value >= warn ? "warn" : "");
export const cpuLevel = (value: number | null): Level => above(value, 80, 92);
export const fillLevel = (value: number | null): Level => above(value, 85, 95);
export const heatLevel = (value: number | null): Level => above(value, 80, 95);

/** `cpu`: how much of a worry the CPU is by now, where more is known than the newest second. */
export function standingOf(node: NodeLike, facts: Facts, now: number, cpu: Level = cpuLevel(facts.cpu)): Standing {
  if (node.state === "pending") return "wait";
  if (node.state === "offline") return "off";
  if (facts.at !== null && now - facts.at > STALE_S) return "stale";
  const levels = [cpu, fillLevel(facts.memory), fillLevel(facts.disk), heatLevel(facts.temperature), listsAreOld(node.updates, now) ? "warn" : ""];
  return levels.includes("crit") ? "crit" : levels.includes("warn") ? "warn" : "ok";
}

/** Larger is worse: the order of "needs attention" and of the phone's list. */
export const worry: Record<Standing, number> = { crit: 5, off: 4, warn: 3, stale: 2, wait: 1, ok: 0 };
