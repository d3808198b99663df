/** The values of a node that lists show, computed from its latest samples, and their levels. */

import { labelOf, type SampleLike } from "../metrics/series";
import { share } from "../text/units";

export type Level = "" | "warn" | "crit";
export type Health = "ok" | "warn" | "crit" | "off" | "stale" | "wait";

export interface UpdatesLike {
  total: number | null;
  /** When the package lists behind the count were refreshed; null = never, or not all of them. */
  checked_at: number | null;
}

export interface NodeLike {
  state: "pending" | "online" | "offline";
  reconnecting?: boolean;
  latest: Readonly<Record<string, SampleLike>>;
  identity: { cpu_cores: number };
  last_seen_at: number | null;
  updates: UpdatesLike;
}

export interface NodeStatus {
  cpu: number | null;
  memory: number | null;
  memoryUsed: number | null;
  memoryTotal: number | null;
  disk: number | null;
  mount: string;
  /** Of the file system with the fewest left, in percent used. */
  inodes: number | null;
  received: number | null;
  sent: number | null;
  load: number | null;
  temperature: number | null;
  /** The time of the newest one-second sample; null = none yet. */
  at: number | null;
}

export const STALE_S = 5;

const plus = (sum: number | null, value: number | null): number | null => (value === null ? sum : (sum ?? 0) + value);

/**
 * Sums come from a summary, under the bare name, or are computed here without the loopback.
 *
 * `before` is the previous status if no labelled series has changed since: this saves a search of 500 nodes each second.
 */
export function nodeStatusOf({ latest }: Pick<NodeLike, "latest">, before?: NodeStatus): NodeStatus {
  const cpu = latest["cpu.total"];
  const used = latest["memory.used"]?.value ?? null;
  const whole = latest["memory.total"]?.value ?? null;
  const [received, sent, heat] = [latest["network.received"], latest["network.sent"], latest["temperature"]];
  const status: NodeStatus = {
    cpu: cpu?.value ?? null,
    memory: share(used, whole),
    memoryUsed: used,
    memoryTotal: whole,
    disk: before?.disk ?? null,
    mount: before?.mount ?? "",
    inodes: before?.inodes ?? null,
    received: received ? received.value : (before?.received ?? null),
    sent: sent ? sent.value : (before?.sent ?? null),
    load: latest["load.1"]?.value ?? null,
    temperature: heat ? heat.value : (before?.temperature ?? null),
    at: cpu?.at ?? latest["load.1"]?.at ?? null,
  };
  if (before) return status;
  let newest = 0;
  for (const name in latest) {
    if (!name.endsWith("}")) continue;
    const { value, at } = latest[name] as SampleLike;
    if (name.startsWith("filesystem.used{")) {
      const part = share(value, latest[name.replace("used", "size")]?.value);
      if (part === null || part <= (status.disk ?? -1)) continue;
      status.disk = part;
      status.mount = labelOf(name);
    } else if (name.startsWith("filesystem.inodes_used{")) {
      // A summary names the worst file system of its moment, so an older name is stale.
      if (at < newest || (at === newest && (value ?? 0) <= (status.inodes ?? -1))) continue;
      status.inodes = value;
      newest = at;
    } else if (name.startsWith("temperature{")) {
      if (!heat && value !== null && value > (status.temperature ?? -Infinity)) status.temperature = value;
    } else if (labelOf(name) !== "lo") {
      if (!received && name.startsWith("network.received{")) status.received = plus(status.received, value);
      if (!sent && name.startsWith("network.sent{")) status.sent = plus(status.sent, value);
    }
  }
  return status;
}

const OLD_LISTS_S = 7 * 86_400;

/** Whether the update count rests on missing or old package lists. Then "nothing newer" proves nothing. */
export const listsAreOld = ({ total, checked_at }: UpdatesLike, now: number): boolean => total !== null && (checked_at === null || now - checked_at > OLD_LISTS_S);

export const above = (value: number | null, warn: number, crit: number): Level => (value === null ? "" : value >= crit ? "crit" : value >= warn ? "warn" : "");
export const cpuLevel = (value: number | null): Level => above(value, 80, 92);
export const fillLevel = (value: number | null): Level => above(value, 85, 95);
export const heatLevel = (value: number | null): Level => above(value, 80, 95);

/** The level of each value, for lists and for the node's own page. */
export const levelsOf = (status: NodeStatus, cpu: Level): Record<"disk" | "inodes" | "memory" | "cpu" | "heat", Level> => ({
  disk: fillLevel(status.disk),
  inodes: fillLevel(status.inodes),
  memory: fillLevel(status.memory),
  cpu,
  heat: heatLevel(status.temperature),
});

/** `cpu` is the current CPU level, if more than the newest second is known. */
export function healthOf(node: NodeLike, status: NodeStatus, now: number, cpu: Level = cpuLevel(status.cpu)): Health {
  if (node.state === "pending") return "wait";
  // The hub has just started and does not know yet whether the node is offline.
  if (node.state === "offline") return node.reconnecting ? "stale" : "off";
  if (status.at !== null && now - status.at > STALE_S) return "stale";
  const levels = Object.values(levelsOf(status, cpu));
  return levels.includes("crit") ? "crit" : levels.includes("warn") || listsAreOld(node.updates, now) ? "warn" : "ok";
}

/** Larger is worse: the order of "needs attention" and of the phone's list. */
export const healthRank: Record<Health, number> = { crit: 5, off: 4, warn: 3, stale: 2, wait: 1, ok: 0 };
