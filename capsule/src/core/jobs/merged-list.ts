/** Merges the lists of jobs and deployments, which are read page by page, by time. */

import { serverGroupOf } from "../deployments/server-list";
import type { DeploymentView } from "../../wire/schema.gen";

export interface Loaded<T> {
  /** Newest first. */
  items: readonly T[];
  /** Whether the list is read to its end. */
  whole: boolean;
}

/** The items newest first. Left out are items older than the last one of a list that is not read to its end: unread items may belong before them. */
export function mergeNewest<T>(timeOf: (item: T) => number, ...lists: readonly Loaded<T>[]): T[] {
  const end = Math.max(
    -Infinity,
    ...lists.filter(({ whole }) => !whole).map(({ items }) => (items.length ? timeOf(items.at(-1) as T) : Infinity)),
  );
  return lists
    .flatMap(({ items }) => items)
    .filter((item) => timeOf(item) >= end)
    .sort((a, b) => timeOf(b) - timeOf(a));
}

type DeploymentLike = Pick<DeploymentView, "id" | "batch_id" | "host" | "name" | "created_by"> & { state: string };

interface DeploymentFilter {
  /** A key of the state chips; empty: all. */
  state: string;
  search: string;
  /** A user; empty: all. */
  by: string;
}

/** Whether the filters of the jobs list include a deployment. */
export function deploymentFits({ state, host, name, created_by }: DeploymentLike, filter: DeploymentFilter): boolean {
  const group = serverGroupOf(state);
  const words = filter.search.toLowerCase();
  return (
    (!filter.state || filter.state === (group === "asks" ? "open" : group)) &&
    (!filter.by || filter.by === created_by) &&
    [host, name, created_by].some((text) => text.toLowerCase().includes(words))
  );
}

/** Groups the deployments of one request, at the position of the newest one. */
export function foldDeployments<D extends DeploymentLike>(deployments: readonly D[]): D[][] {
  const rows = new Map<string, D[]>();
  for (const one of deployments) {
    const key = one.batch_id ?? one.id;
    const row = rows.get(key);
    if (row) row.push(one);
    else rows.set(key, [one]);
  }
  return [...rows.values()];
}
