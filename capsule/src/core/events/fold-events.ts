/** Folds repeated events into one row, and splits a list into days. */

import { orderSize } from "./orders";
import type { EventView, OrderView } from "../../wire/schema.gen";

type EventLike = Pick<EventView, "type" | "node_id" | "at" | "details"> & { severity: string };

/** Types of events that many nodes have at the same time, for example after a restart of the hub, when a rule fires for all nodes, or from one order for many. */
const FOLDED: ReadonlySet<string> = new Set([
  "node_online",
  "node_offline",
  "node_registered",
  "node_joined",
  "agent_updated",
  "reboot_required",
  "updates_found",
  "security_updates_found",
  "alert_firing",
  "alert_resolved",
  "job_started",
  "job_succeeded",
  "job_cancelled",
  "job_expired",
  "maintenance_opened",
  "maintenance_closed",
]);
/** The order for many nodes that an event of a job or deployment belongs to; empty = none. */
export const orderOf = ({ type, details: { batch } }: EventLike): string =>
  typeof batch === "string" && /^(?:job|deployment|agent_update)/.test(type) ? batch : "";

/** A run has at least this many events; fewer events have a row each. */
const LEAST = 5;
/** The most seconds between an event of a run and the next one. */
const MAX_APART_S = 600;
/** A run may continue after at most this many rows of other events. */
const MAX_ROWS_BETWEEN = 20;

/** Events with the same key may share a row. Alerts of different rules, levels or ends have different keys, and so have jobs of different actions. */
const keyOf = ({ type, severity, details: { rule, end, action, reason } }: EventLike): string =>
  JSON.stringify([type, severity, rule, end, action, reason]);

/** Orders for many nodes that the hub knows, by id. */
export type Orders = ReadonlyMap<string, OrderView>;
const NO_ORDERS: Orders = new Map();

/**
 * Groups the events of one order for many nodes, and the same event on different nodes, as one run at the position of its newest event. Every
 * other event is a run alone. `events` are newest first. An order of `orders` is a run even if only one of its events is loaded.
 */
export function foldEvents<E extends EventLike>(events: readonly E[], orders: Orders = NO_ORDERS): E[][] {
  const runs: E[][] = [];
  const newest = new Map<string, number>();
  const runsOfOrders = new Map<string, E[]>();
  for (const event of events) {
    const order = orderOf(event);
    const known = runsOfOrders.get(order);
    if (known) {
      known.push(event);
      continue;
    }
    if (order) {
      const run = [event];
      runsOfOrders.set(order, run);
      runs.push(run);
      continue;
    }
    const key = keyOf(event);
    const index = FOLDED.has(event.type) ? newest.get(key) : undefined;
    const run = index !== undefined && runs.length - index <= MAX_ROWS_BETWEEN ? runs[index] : undefined;
    const last = run?.at(-1);
    if (run && last && Math.abs(last.at - event.at) <= MAX_APART_S && !run.some(({ node_id }) => node_id === event.node_id))
      run.push(event);
    else newest.set(key, runs.push([event]) - 1);
  }
  // The events of a run that is too short return to their own positions.
  const long = new Set(runs.filter((run) => isOrder(run, orders) || (run.length >= LEAST && !orderOf(run[0] as E))).flat());
  const done = new Set<E>();
  return events.flatMap((event) => {
    if (!long.has(event)) return [[event]];
    if (done.has(event)) return [];
    const run = runs.find(([first]) => first === event) ?? [event];
    run.forEach((one) => done.add(one));
    return [run];
  });
}

/** Whether a run is of one order for at least two nodes. An order that the hub does not know is counted by its loaded events. */
export function isOrder(run: readonly EventLike[], orders: Orders = NO_ORDERS): boolean {
  const id = run[0] ? orderOf(run[0]) : "";
  const known = orders.get(id);
  return id !== "" && (known ? orderSize(known) > 1 : new Set(run.map(subjectOf)).size > 1);
}

/** The job or deployment that an event tells of. A failed deployment has no node. */
const subjectOf = ({ node_id, details }: EventLike): unknown => details["job"] ?? details["deployment"] ?? node_id;

/** The newest event of each job or deployment of a run. */
export function latestOfNodes<E extends EventLike>(run: readonly E[]): E[] {
  const latest = new Map<unknown, E>();
  for (const event of run) if (!latest.has(subjectOf(event))) latest.set(subjectOf(event), event);
  return [...latest.values()];
}

/** An order as its loaded events tell it, where the hub did not count it. */
export function orderFromEvents(run: readonly EventLike[]): OrderView {
  const states: Record<string, number> = {};
  for (const { type } of latestOfNodes(run)) {
    const state = type === "agent_updated" ? "succeeded" : type.replace(/^.*_/, "").replace("started", "running");
    states[state] = (states[state] ?? 0) + 1;
  }
  const { type, details } = run[0] as EventLike;
  const action = String(details["action"] ?? details["kind"]);
  return { id: String(details["batch"]), kind: type.startsWith("job") ? "jobs" : "deployments", action, for_action: null, by: "", states };
}

/** Splits runs by the local day of their first event, in the given order. `dayOf` gives the start of the day of a time. */
export function byDay<E extends EventLike>(runs: readonly E[][], dayOf: (at: number) => number): { day: number; runs: E[][] }[] {
  const days: { day: number; runs: E[][] }[] = [];
  for (const run of runs) {
    const day = dayOf(run[0]?.at ?? 0);
    const last = days.at(-1);
    if (last?.day === day) last.runs.push(run);
    else days.push({ day, runs: [run] });
  }
  return days;
}
