/** All nodes, with one signal each, so that a new value redraws one row. */

import { computed, effect, signal, type Signal } from "@preact/signals";
import { call } from "../wire/http";
import type { FleetChange, FleetData, NodePatch, NodeView } from "../wire/schema.gen";
import { healthOf, isCritical, isOld, nodeStatusOf, STALE_S, type Health, type NodeStatus } from "../core/nodes/node-status";
import { nameCollator } from "../core/nodes/node-groups";
import { hubNow, now } from "./clock";
import { followWhileSignedIn, lastMessageAt } from "./live/link";
import { pageUrl } from "./router";
import { forgetSparks, noteCpu } from "./sparklines";

/**
 * Milliseconds that values may wait to be drawn together. Each node sends once a second.
 *
 * A fleet that is larger than the screen draws once a second, so that all rows change at the same time. Other pages show no rows, so values
 * wait longer there. A node that appears, disappears or changes its state does not wait.
 */
const BATCH_MS = 250;
const LARGE_FLEET = 60;
const LARGE_BATCH_MS = 1000;
const HIDDEN_BATCH_MS = 1500;
const patienceMs = ({ nodes, removed }: FleetChange): number =>
  nodes.length || removed.length ? 0 : pageUrl.peek().path !== "/" ? HIDDEN_BATCH_MS : map.size > LARGE_FLEET ? LARGE_BATCH_MS : BATCH_MS;
const map = new Map<string, Signal<NodeView>>();
/** The last view of each node that arrived live. The answer to an edit may have replaced it in `map`. */
const lastLive = new Map<string, NodeView>();

/** Grows when nodes appear, disappear or change, but not with new values, which are too frequent. */
const version = signal(0);
/** The ids of all nodes; changes only when a node appears or disappears. */
export const ids = signal<readonly string[]>([]);
export const loaded = signal(false);

/** When the last snapshot of the fleet arrived, in Unix seconds. From then on each node sends once a second. */
let watched = 0;

export const nodeSignal = (id: string): Signal<NodeView> | undefined => map.get(id);

/** The name of a node; undefined = unknown. A view that reads this is redrawn when the node appears. */
export const nodeName = (id: string): string | undefined => {
  void ids.value;
  return map.get(id)?.value.name;
};

export interface Row {
  node: NodeView;
  status: NodeStatus;
  health: Health;
  /** Whether the values are not current. */
  old: boolean;
}

/** The status of each node with the view from which it was computed. */
const statuses = new Map<string, { node: NodeView; status: NodeStatus }>();

function statusOf(node: NodeView): NodeStatus {
  const cached = statuses.get(node.id);
  if (cached?.node === node) return cached.status;
  const status = nodeStatusOf(node);
  statuses.set(node.id, { node, status });
  return status;
}

export function rowOf(node: NodeView, at: number): Row {
  const status = statusOf(node);
  const health = healthOf(node, status, at, watched);
  return { node, status, health, old: health === "off" || health === "back" || isOld(status, at, watched) };
}

/** Every node with its status, computed each second and when a node changes. A row on the page has its own signal, and shows new values sooner. */
export const rows = computed<readonly Row[]>(() => {
  void version.value;
  const at = now.value;
  return [...map.values()].map((node) => rowOf(node.peek(), at));
});

/** The number of nodes for each tag, the most used first. */
export const tags = computed<readonly (readonly [string, number])[]>(() => {
  void version.value;
  const counts = new Map<string, number>();
  for (const node of map.values()) for (const tag of node.peek().tags) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || nameCollator.compare(a[0], b[0]));
});

/** Stores a view that arrived live. Returns whether the node is new. */
function put(node: NodeView): boolean {
  const stored = map.get(node.id);
  lastLive.set(node.id, node);
  noteCpu(node.id, node.latest["cpu.total"]);
  if (stored) {
    stored.value = node;
    return false;
  }
  map.set(node.id, signal(node));
  return true;
}

/** Removes a node. Returns whether it existed. */
function drop(id: string): boolean {
  lastLive.delete(id);
  statuses.delete(id);
  return map.delete(id);
}

function snapshot(data: FleetData): void {
  watched = hubNow();
  const there = new Set(data.nodes.map((node) => node.id));
  for (const id of map.keys()) if (!there.has(id)) drop(id);
  for (const node of data.nodes) put(node);
  ids.value = [...map.keys()];
  loaded.value = true;
  version.value += 1;
}

function change(data: FleetChange): void {
  let members = false;
  for (const node of data.nodes) members = put(node) || members;
  for (const [id, latest] of Object.entries(data.latest)) {
    const node = map.get(id);
    if (!node) continue;
    noteCpu(id, latest["cpu.total"]);
    const before = node.peek();
    const labels = labelledOf(latest);
    // Writes the values into the existing object: 500 new objects a second would burden the garbage collector.
    const next = { ...before, latest: labels ? merged(before.latest, latest, labels) : Object.assign(before.latest, latest) };
    const cached = statuses.get(id);
    if (!labels && cached?.node === before) statuses.set(id, { node: next, status: nodeStatusOf(next, cached.status) });
    node.value = next;
  }
  for (const id of data.removed) members = drop(id) || members;
  if (members) ids.value = [...map.keys()];
  if (data.nodes.length || data.removed.length) version.value += 1;
}

/** The names of the labelled series; null = none, as in most seconds. */
function labelledOf(latest: NodeView["latest"]): string[] | null {
  let labels: string[] | null = null;
  for (const name in latest) if (name.endsWith("}")) (labels ??= []).push(name);
  return labels;
}

/** Merges new values. The hub sends one series of each labelled metric, such as the usage of the fullest mount. The sent series replaces those of the same metric with another label. */
function merged(before: NodeView["latest"], after: NodeView["latest"], labels: readonly string[]): NodeView["latest"] {
  const next = { ...before, ...after };
  for (const name in before) {
    const metric = name.slice(0, name.indexOf("{") + 1);
    if (metric && !labels.includes(name) && labels.some((other) => other.startsWith(metric))) delete next[name];
  }
  return next;
}

followWhileSignedIn(
  "fleet",
  { snapshot: (data) => snapshot(data as FleetData), change: (data) => change(data as FleetChange) },
  () => {
    map.clear();
    lastLive.clear();
    statuses.clear();
    forgetSparks();
    trail.value = { cpu: [], network: [] };
    ids.value = [];
    loaded.value = false;
    version.value += 1;
  },
  { patienceMs: (data) => patienceMs(data as FleetChange) },
);

/** Changes the name, tags or note, and shows the hub's answer. If rights depend on a tag, the hub requires the password; `node-edit.ts` asks the user for it. */
export async function patchNode(id: string, patch: NodePatch): Promise<NodeView> {
  const before = lastLive.get(id);
  const node = await call("PATCH", `nodes/${id}`, { body: patch });
  const shown = map.get(id);
  // A live view that arrived during the request is not older than the answer, and stays.
  if (shown && lastLive.get(id) === before) shown.value = { ...node, latest: { ...shown.peek().latest } };
  version.value += 1;
  return node;
}

/** CPU (percent, weighted by cores), cores, memory (bytes) and network (bytes a second) count only online nodes with current values. The rest counts all nodes. */
export interface FleetSummary {
  nodes: number;
  online: number;
  counts: Record<Health, number>;
  /** How many nodes have a critical finding, those that are offline included. */
  critical: number;
  cpu: number | null;
  cores: number;
  memoryUsed: number;
  memoryTotal: number;
  received: number;
  sent: number;
  updates: number;
  updateNodes: number;
  security: number;
  securityNodes: number;
  updatesKnown: boolean;
  /** The time of the newest value among online nodes, in seconds. */
  newest: number;
}

/** Whether the values of a node were current at the last message, so that sums include them. While the hub is offline, the last sums stay. */
export const isReporting = (status: NodeStatus): boolean => status.at !== null && !isOld(status, lastMessageAt(), watched);

export const fleetSummary = computed<FleetSummary>(() => {
  const v: FleetSummary = {
    nodes: 0,
    online: 0,
    counts: { ok: 0, notice: 0, warn: 0, crit: 0, off: 0, stale: 0, back: 0, wait: 0 },
    critical: 0,
    cpu: null,
    cores: 0,
    memoryUsed: 0,
    memoryTotal: 0,
    received: 0,
    sent: 0,
    updates: 0,
    updateNodes: 0,
    security: 0,
    securityNodes: 0,
    updatesKnown: false,
    newest: 0,
  };
  let weighted = 0;
  let weight = 0;
  for (const { node, status, health } of rows.value) {
    v.nodes += 1;
    v.counts[health] += 1;
    if (isCritical(health, node.health)) v.critical += 1;
    v.updatesKnown ||= node.updates.total !== null;
    if (node.updates.total) {
      v.updates += node.updates.total;
      v.updateNodes += 1;
    }
    if (node.updates.security) {
      v.security += node.updates.security;
      v.securityNodes += 1;
    }
    if (node.state !== "online") continue;
    v.online += 1;
    v.newest = Math.max(v.newest, status.at ?? 0);
    if (!isReporting(status)) continue;
    v.cores += node.identity.cpu_cores;
    if (status.cpu !== null) {
      const share = node.identity.cpu_cores || 1;
      weighted += status.cpu * share;
      weight += share;
    }
    v.memoryUsed += status.memoryUsed ?? 0;
    v.memoryTotal += status.memoryTotal ?? 0;
    v.received += status.received ?? 0;
    v.sent += status.sent ?? 0;
  }
  if (weight > 0) v.cpu = weighted / weight;
  return v;
});

/** Seconds since the last message, if they are more than `STALE_S` and values arrived until then; else 0. The socket detects a silent hub only later. */
export const silentFor = computed(() => {
  const last = lastMessageAt();
  const since = now.value - last;
  return since > STALE_S && last - fleetSummary.value.newest <= STALE_S ? since : 0;
});

/** Whether a node waits for approval. */
export const anyAwaitsApproval = computed(() => rows.value.some(({ node }) => node.waiting));
/** The number of updates of the whole fleet. A view that shows only this number is not redrawn with each value. */
export const updateCount = computed(() => fleetSummary.value.updates);

/** CPU and network of the fleet in the last minutes, one point a second, for the sparklines of the summary. */
export const trail = signal<{ cpu: readonly (number | null)[]; network: readonly (number | null)[] }>({ cpu: [], network: [] });
const TRAIL_POINTS = 60;
/** After this long without a message from the hub, the last values are no longer current. */
const UNHEARD_S = 2.5;
effect(() => {
  const at = now.value;
  if (!loaded.peek()) return;
  const { cpu, received } = fleetSummary.peek();
  const { cpu: cpus, network } = trail.peek();
  const isCurrent = cpu !== null && at - lastMessageAt() < UNHEARD_S;
  trail.value = {
    cpu: [...cpus, isCurrent ? cpu : null].slice(-TRAIL_POINTS),
    network: [...network, isCurrent ? received : null].slice(-TRAIL_POINTS),
  };
});
