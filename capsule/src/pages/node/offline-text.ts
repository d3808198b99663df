/** The reason why a node is offline, from the hub's event or its restart. */

import { offlineReason, RESTARTED } from "../../core/nodes/offline-reason";
import { t, timeOrDate } from "../../core/text";
import { now } from "../../state/clock";
import { events } from "../../state/events";
import { nodeSignal } from "../../state/fleet";
import { hubStarted } from "../../state/live/link";

interface OfflineText {
  /** A shorter text for one line. */
  short: string;
  long: string;
}

const LOST: Record<string, OfflineText> = {
  left: {
    short: t`stopped or shut down`,
    long: t`It closed the connection itself: the agent was stopped, or the server is shutting down or restarting.`,
  },
  cut: { short: t`connection lost`, long: t`The connection was lost without warning.` },
  silent: {
    short: t`stopped responding`,
    long: t`It stopped responding while connected: the server hangs or is off, or the network in between is down.`,
  },
  sent_away: { short: t`closed by Ground Control`, long: t`Ground Control closed the connection; its log says why.` },
};

/** The reason; undefined if the page does not know it. */
export function offlineText(id: string): OfflineText | undefined {
  const how = offlineReason(id, nodeSignal(id)?.value.last_seen_at ?? 0, hubStarted, events.value);
  if (how !== RESTARTED) return how === undefined ? how : LOST[how];
  const at = timeOrDate(hubStarted, now.value);
  return {
    short: t`not back since Ground Control restarted`,
    long: t`Ground Control was restarted at ${at}, and the node has not come back since.`,
  };
}
