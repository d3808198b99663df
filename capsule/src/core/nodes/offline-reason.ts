/** The reason why a node is offline: the reason in an event, or a restart of the hub. */

import type { EventView } from "../../wire/schema.gen";

type EventLike = Pick<EventView, "type" | "node_id" | "at" | "details">;

/** The number of events in the hub's first message. If there are fewer, the hub has no others. */
const RECENT_EVENTS = 50;

/** The hub also writes events with this reason, two minutes after its start at the earliest. */
export const RESTARTED = "restarted";

/**
 * The reason for this outage.
 *
 * If `events` have the outage's event, the reason is the one in this event. If `events` prove that there is no such event, and the hub has
 * started since the node was last seen, the reason is `RESTARTED`. Otherwise the result is undefined. `events` are the newest events of all
 * nodes, newest first. An event before the node was last seen belongs to an earlier outage. `seen` and `hubStarted` are Unix seconds; 0 =
 * never seen, or unknown.
 */
export function offlineReason(id: string, seen: number, hubStarted: number, events: readonly EventLike[]): string | undefined {
  const event = events.find((one) => one.node_id === id && one.type === "node_offline" && one.at >= seen);
  if (event) return String(event.details.how);
  const oldest = events[events.length - 1];
  const reachesBack = events.length < RECENT_EVENTS || (oldest !== undefined && oldest.at < seen);
  return seen && seen < hubStarted && reachesBack ? RESTARTED : undefined;
}
