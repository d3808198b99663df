/** The chosen nodes on which an order has no job, by reason. */

import { jobEnded } from "./job-labels";
import { t } from "../text";

interface RefusedLike {
  node_id: string;
  message: string;
}

interface OrderLike {
  jobs: readonly { node_id: string }[];
  refused: readonly RefusedLike[];
}

interface PlansLike {
  jobs: readonly { node_id: string; state: string; planned: boolean; error: { message: string } | null }[];
  refused: readonly RefusedLike[];
}

/** The reason without the name of its node, so that the same reason is said once for all of them. */
export const withoutName = (message: string, name: string): string =>
  name && message.startsWith(`${name} `) ? t`it ${message.slice(name.length + 1)}` : message;

/** Reason -> names, the most common first: a reason that many share is said once. */
export function byReason(rows: readonly (readonly [name: string, why: string])[]): [string, string[]][] {
  const groups = new Map<string, string[]>();
  for (const [name, message] of rows) {
    const why = withoutName(message, name);
    groups.set(why, [...(groups.get(why) ?? []), name]);
  }
  return [...groups].sort(([, a], [, b]) => b.length - a.length);
}

/** Reason -> nodes, the most common first. `planned`: the batch of its plans; null = none, or not known. `steps`: the number of changes in a node's plan, where it was read. */
export function leftOutReasons(
  order: OrderLike,
  planned: PlansLike | null,
  steps: ReadonlyMap<string, number>,
  nameOf: (node: string) => string,
): [string, string[]][] {
  const found = new Map<string, string>(); // node -> reason
  const busy = new Set(order.jobs.map(({ node_id }) => node_id));
  for (const { node_id, message } of [...order.refused, ...(planned?.refused ?? [])])
    if (!busy.has(node_id) && !found.has(node_id)) found.set(node_id, withoutName(message, nameOf(node_id)));
  for (const { node_id, state, planned: has, error } of planned?.jobs ?? []) {
    if (busy.has(node_id) || found.has(node_id)) continue;
    const changes = steps.get(node_id);
    if (state === "succeeded" && has)
      found.set(
        node_id,
        changes === 0
          ? t`its plan has nothing to do`
          : changes
            ? t`not ordered there`
            : t`its plan has nothing to do, or it was not ordered there`,
      );
    else if (state === "cancelled" || !jobEnded(state)) found.set(node_id, t`its plan was not waited for`);
    else found.set(node_id, error ? t`no plan: ${withoutName(error.message, nameOf(node_id))}` : t`no plan was reported`);
  }
  return byReason([...found]);
}
