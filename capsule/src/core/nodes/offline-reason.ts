/** What says how a node was lost: an event of the hub's, or that the hub has begun anew since. */

interface EventLike {
  type: string;
  node_id: string | null;
  at: number;
  details: Readonly<Record<string, unknown>>;
}

/** As many events as the hub tells of first: fewer are all there are. */
const RECENT_EVENTS = 50;

/** The event says so too, two minutes after the start. */
export const RESTARTED = "restarted";

/**
 * The event's word, `RESTARTED`, or undefined where neither is known: events are the newest ones, newest first, and what they do not reach back to they do not deny.
 * What ended an earlier stretch, before it was seen last, says nothing of this one: who was there when the hub stopped, and did not come back to it, has left
 * without an event.
 */
export function offlineReason(id: string, seen: number, hubStarted: number, events: readonly EventLike[]): string | undefined {
  const left = events.find((one) => one.node_id === id && one.type === "node.offline" && one.at >= seen);
  if (left) return String(left.details.how);
  const oldest = events[events.length - 1];
  const reachesBack = events.length < RECENT_EVENTS || (oldest !== undefined && oldest.at < seen);
  return seen && seen < hubStarted && reachesBack ? RESTARTED : undefined;
}
