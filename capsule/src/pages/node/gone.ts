/** How a node was lost, as the hub's event says. */

import { t } from "../../core/say";
import { events } from "../../state/events";

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
export const lostHow = (id: string): How | undefined => LOST[String(events.value.find((one) => one.node_id === id && one.type === "node.offline")?.details.how)];
