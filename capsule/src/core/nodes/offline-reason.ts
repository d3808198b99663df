/** Why a node is offline: from an event of the hub, or from a restart of the hub since. */

interface EventLike {
  type: string;
  node_id: string | null;
  at: number;
  details: Readonly<Record<string, unknown>>;
}

/** The number of events in the hub's first message: fewer means that there are no others. */
const RECENT_EVENTS = 50;

/** The event says so too, two minutes after the start. */
export const RESTARTED = "restarted";

/**
 * The event's reason, `RESTARTED`, or undefined if neither is known.
 *
 * `events` are the newest ones, newest first; older events are unknown. An event before the node was last seen belongs to an earlier outage. A
 * node that was online when the hub stopped, and did not return, has no event.
 */
export function offlineReason(id: string, seen: number, hubStarted: number, events: readonly EventLike[]): string | undefined {
  const left = events.find((one) => one.node_id === id && one.type === "node_offline" && one.at >= seen);
  if (left) return String(left.details.how);
  const oldest = events[events.length - 1];
  const reachesBack = events.length < RECENT_EVENTS || (oldest !== undefined && oldest.at < seen);
  return seen && seen < hubStarted && reachesBack ? RESTARTED : undefined;
}
