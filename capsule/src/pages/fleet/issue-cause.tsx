/** The reason why a node is offline, from the newest events. */

import { t } from "../../core/text";
import { eventsLoaded } from "../../state/events";
import { runningOn } from "../../state/jobs";
import { offlineText } from "../node/offline-text";

/** The reason, after a colon; nothing until the events are loaded. */
export function OfflineCause({ id }: { id: string }) {
  const how = runningOn.value.get(id)?.action === "reboot" ? t`restarted by a job` : offlineText(id)?.short;
  const text = how ?? (eventsLoaded.value ? t`no contact` : "");
  return text ? <span title={text}>: {text}</span> : null;
}
