/** Jobs and deployments as one list: two lists that are read page by page, merged by time. */

import { serverGroupOf } from "../deployments/server-list";

export interface Loaded<T> {
  /** Newest first. */
  items: readonly T[];
  /** Nothing older is left to read. */
  whole: boolean;
}

/** Newest first. Items that are older than the end of a list that goes on are left out: others may belong before them. */
export function mergeNewest<T>(timeOf: (item: T) => number, ...lists: readonly Loaded<T>[]): T[] {
  const end = Math.max(-Infinity, ...lists.filter(({ whole }) => !whole).map(({ items }) => (items.length ? timeOf(items.at(-1) as T) : Infinity)));
  return lists
    .flatMap(({ items }) => items)
    .filter((item) => timeOf(item) >= end)
    .sort((a, b) => timeOf(b) - timeOf(a));
}

interface DeploymentLike {
  id: string;
  batch_id: string | null;
  state: string;
  host: string;
  name: string;
  created_by: string;
}

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
  return (!filter.state || filter.state === (group === "asks" ? "open" : group)) && (!filter.by || filter.by === created_by) && [host, name, created_by].some((text) => text.toLowerCase().includes(words));
}

/** Deployments of one request are one row, where the newest of them stood. */
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
