/** Which maintenance of a user holds the messages of a node back now. */

import type { MaintenanceView } from "../../wire/schema.gen";

export type WindowLike = Pick<MaintenanceView, "select" | "reason" | "origin" | "next_from_at" | "next_until_at">;

export interface Quiet {
  until: number;
  reason: string;
}

/** The window of a user that is open for the node and ends last; null = none. Jobs show themselves, so their windows are left out. */
export function quietOf(windows: readonly WindowLike[], { id, tags }: { id: string; tags: readonly string[] }, now: number): Quiet | null {
  let found: Quiet | null = null;
  for (const { select, reason, origin, next_from_at: from, next_until_at: until } of windows) {
    if (origin !== "user" || from === null || until === null || now < from || now >= until || until <= (found?.until ?? 0)) continue;
    if (select.all || select.nodes.includes(id) || select.tags.some((tag) => tags.includes(tag))) found = { until, reason };
  }
  return found;
}
