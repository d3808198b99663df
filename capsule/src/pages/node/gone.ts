/** How a node was lost, as the hub's event says, or its start. */

import { goneBy, RESTARTED } from "../../core/gone";
import { t } from "../../core/say";
import { moment } from "../../core/time";
import { now } from "../../state/clock";
import { events } from "../../state/events";
import { nodeSignal } from "../../state/fleet";
import { hubStarted } from "../../state/link";

interface How {
  /** Where a line has to do. */
  short: string;
  long: string;
}

const LOST: Record<string, How> = {
  left: { short: t`Ended its session itself`, long: t`It ended its session itself: Spider was stopped, or the server shuts down or restarts.` },
  cut: { short: t`The connection broke off`, long: t`The connection broke off without a word.` },
  silent: { short: t`Fell silent while connected`, long: t`It fell silent while connected: the server hangs or is off, or the network between is gone.` },
  sent_away: { short: t`Sent away by Ground Control`, long: t`Ground Control ended the session; its log says why.` },
};

/** Undefined where it is too long ago to be among the newest events, or is not known. */
export function lostHow(id: string): How | undefined {
  const how = goneBy(id, nodeSignal(id)?.value.last_seen_at ?? 0, hubStarted, events.value);
  if (how !== RESTARTED) return how === undefined ? how : LOST[how];
  const at = moment(hubStarted, now.value);
  return { short: t`Not back since Ground Control restarted`, long: t`Ground Control was restarted at ${at}, and the node has not come back since.` };
}
