/** The reason why a node is offline: the reason in an event, or a restart of the hub. */

interface EventLike {
  type: string;
  node_id: string | null;
  at: number;
  details: Readonly<Record<string, unknown>>;
}

/** The number of events in the hub's first message. If there are fewer, the hub has no others. */
const RECENT_EVENTS = 50;

/** The hub writes an event with this reason, but not before two minutes after its start. */
export const RESTARTED = "restarted";

/**
 * The reason for this outage.
 *
 * It is the reason in the outage's event. If `events` prove that there is no such event, and the hub has started since the node was last seen,
 * it is `RESTARTED`. Otherwise it is undefined. `events` are the newest events of all nodes, newest first. An event before the node was last
 * seen belongs to an earlier outage. `seen` and `hubStarted` are Unix seconds; 0 = never seen, or unknown.
 */
export function offlineReason(id: string, seen: number, hubStarted: number, events: readonly EventLike[]): string | undefined {
  const left = events.find((one) => one.node_id === id && one.type === "node_offline" && one.at >= seen);
  if (left) return String(left.details.how);
  const oldest = events[events.length - 1];
  const reachesBack = events.length < RECENT_EVENTS || (oldest !== undefined && oldest.at < seen);
  return seen && seen < hubStarted && reachesBack ? RESTARTED : undefined;
}
