/** The values of a node in lists, computed from its latest samples; their levels, and the health of a node. */

import { labelValueOf } from "../metrics/series";
import { share } from "../text";
import type { FindingView, NodeHealthView, Sample, UpdatesView } from "../../wire/schema.gen";

export type Level = "" | "warn" | "crit";
/** `back`: the hub was restarted, and the node has not reconnected yet. `wait`: the node has never connected. `stale`: it is online, but its values are old. */
export type Health = "ok" | "notice" | "warn" | "crit" | "off" | "stale" | "back" | "wait";

export type FindingLike = Pick<FindingView, "kind" | "object" | "level">;

export type HealthLike = Pick<NodeHealthView, "level"> & { findings: readonly FindingLike[] };

export type UpdatesLike = Pick<UpdatesView, "total" | "checked_at">;

export interface NodeLike {
  state: "pending" | "online" | "offline";
  reconnecting?: boolean;
  latest: Readonly<Record<string, Sample>>;
  identity: { cpu_cores: number };
  last_seen_at: number | null;
  updates: UpdatesLike;
  health: HealthLike;
}

/** CPU, memory and disk in percent, other memory in bytes, network in bytes a second, temperature in °C. null = unknown. */
export interface NodeStatus {
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
  /** The time of the newest one-second sample; null = none yet. */
  at: number | null;
}

export const STALE_S = 5;
/** An agent that nobody watches sends once a minute; older values are stale. */
const UNWATCHED_S = 70;

const plus = (sum: number | null, value: number | null): number | null => (value === null ? sum : (sum ?? 0) + value);

/** How much of a mount is used in percent, without the space reserved for root, as in `df` and alerts. `name` is `filesystem.used{mount=…}`. */
export function usedShare(latest: NodeLike["latest"], name: string): number | null {
  const used = latest[name]?.value ?? null;
  const free = latest[name.replace("used", "free")]?.value;
  return share(used, free == null ? latest[name.replace("used", "size")]?.value : plus(free, used));
}

/**
 * The status of a node. The hub's summary has the network's sum and the highest temperature under the bare name. If the summary lacks one of
 * these values, it is computed here from the labelled series, without the loopback. `disk` is the fullest mount.
 *
 * Pass the previous status as `before` if no labelled series has changed since. This saves the search through the labelled series.
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
    received: received ? received.value : (before?.received ?? null),
    sent: sent ? sent.value : (before?.sent ?? null),
    load: latest["load.1"]?.value ?? null,
    temperature: heat ? heat.value : (before?.temperature ?? null),
    at: cpu?.at ?? latest["load.1"]?.at ?? null,
  };
  if (before) return status;
  for (const name in latest) {
    if (!name.endsWith("}")) continue;
    const { value } = latest[name] as Sample;
    if (name.startsWith("filesystem.used{")) {
      const part = usedShare(latest, name);
      if (part === null || part <= (status.disk ?? -1)) continue;
      status.disk = part;
      status.mount = labelValueOf(name);
    } else if (name.startsWith("temperature{")) {
      if (!heat && value !== null && value > (status.temperature ?? -Infinity)) status.temperature = value;
    } else if (labelValueOf(name) !== "lo") {
      if (!received && name.startsWith("network.received{")) status.received = plus(status.received, value);
      if (!sent && name.startsWith("network.sent{")) status.sent = plus(status.sent, value);
    }
  }
  return status;
}

const LEVELS = { notice: "", warning: "warn", critical: "crit" } as const;

/** The level of the worst finding of this kind (and about this object, if one is given); empty = none, or a notice. */
export function levelOf({ findings }: HealthLike, kind: string, object = ""): Level {
  const found = findings.find((one) => one.kind === kind && (!object || one.object === object));
  return found ? LEVELS[found.level] : "";
}

/** A present CPU value below this is not marked: the finding is about the mean of minutes, and the number beside the mark would contradict it. */
const CALM_CPU = 50;

/** The level of the CPU finding for the present value; empty = none, or the CPU is calm now. */
export const cpuLevel = (health: HealthLike, cpu: number | null): Level => (cpu !== null && cpu < CALM_CPU ? "" : levelOf(health, "cpu"));

/** Whether the update count comes from missing or old package lists, so that a count of 0 proves nothing. */
export const listsAreOld = ({ updates: { total, checked_at }, health }: Pick<NodeLike, "updates" | "health">): boolean =>
  (total !== null && checked_at === null) || health.findings.some(({ kind }) => kind === "lists_stale");

/** Whether the newest values are too old; false without values. `watched`: when the page began to watch the node. In the first `STALE_S` seconds after that, the node may still send once a minute. */
export const isOld = ({ at }: NodeStatus, now: number, watched = 0): boolean =>
  at !== null && now - at > (now - watched > STALE_S ? STALE_S : UNWATCHED_S);

const HEALTHS = { ok: "ok", unknown: "ok", notice: "notice", warning: "warn", critical: "crit" } as const;

/** The health of a node. A missing connection comes first, then a warning or critical level of the hub, then old values, then any other level. */
export function healthOf(node: NodeLike, status: NodeStatus, now: number, watched = 0): Health {
  if (node.state === "pending") return "wait";
  if (node.state === "offline") return node.reconnecting ? "back" : "off";
  const found = HEALTHS[node.health.level];
  return isOld(status, now, watched) && found !== "crit" && found !== "warn" ? "stale" : found;
}

/** Whether a critical alert fires on the node. One that is offline is critical as soon as its alert fires. */
export const isCritical = (health: Health, { level }: HealthLike): boolean =>
  health === "crit" || (health === "off" && level === "critical");

/** Larger is worse. A node that waits for its first contact has no problem. */
export const healthRank: Record<Health, number> = { off: 7, crit: 6, warn: 5, stale: 4, back: 3, notice: 2, ok: 0, wait: 0 };
