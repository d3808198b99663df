/** Orders for many nodes in one sentence each, for the lists of events and of the audit log. */

import { jobLabel } from "../jobs/job-labels";
import { plural, t } from "../text";
import type { OrderView } from "../../wire/schema.gen";

const DEPLOYMENT_KINDS: Readonly<Record<string, string>> = { install: t`Deployment`, update: t`Update of the agent`, remove: t`Removal` };

/** States in the order of the sentence: what went wrong first. */
const STATES: Readonly<Record<string, string>> = {
  failed: t`failed`,
  interrupted: t`interrupted`,
  unknown: t`outcome unknown`,
  incomplete: t`came back incomplete`,
  succeeded: t`succeeded`,
  running: t`in progress`,
  awaiting_host_key: t`waiting for a fingerprint to be confirmed`,
  queued: t`waiting`,
  dispatched: t`waiting`,
  accepted: t`waiting`,
  cancelled: t`cancelled`,
  expired: t`expired`,
};
const FAULTS: readonly string[] = ["interrupted", "unknown", "incomplete"];

export const orderSize = ({ states }: OrderView): number => Object.values(states).reduce((sum, count) => sum + count, 0);

/** For example "Upgrade packages". */
export const orderTitle = ({ kind, action, for_action }: OrderView): string =>
  kind === "deployments" ? (DEPLOYMENT_KINDS[action] ?? action) : jobLabel({ action, for: for_action });

/** For example "24 nodes: 2 failed, 22 succeeded". */
export function orderSummary(order: OrderView): string {
  const { kind, states } = order;
  const counts = new Map<string, number>();
  for (const state of [...Object.keys(STATES), ...Object.keys(states).filter((one) => !Object.hasOwn(STATES, one))]) {
    const words = STATES[state] ?? state.replaceAll("_", " ");
    if (states[state]) counts.set(words, (counts.get(words) ?? 0) + states[state]);
  }
  const size = orderSize(order);
  const ends = [...counts].map(([words, count]) => `${count} ${words}`).join(", ");
  return `${kind === "deployments" ? plural(size, "server") : plural(size, "node")}: ${ends}`;
}

/** For example "Upgrade packages on 24 nodes: 2 failed, 22 succeeded". */
export const orderText = (order: OrderView): string => t`${orderTitle(order)} on ${orderSummary(order)}`;

/** The worst of an order's states, as the severity of an event. */
export const orderSeverity = ({ states }: OrderView): "error" | "warning" | "info" =>
  states["failed"] ? "error" : FAULTS.some((state) => states[state]) ? "warning" : "info";

/** The page of an order. */
export const orderUrl = ({ id, kind }: OrderView): string => `/${kind === "deployments" ? "deployments" : "batches"}/${id}`;
