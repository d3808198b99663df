/** The reason why a node is offline, from the newest events. */

import type { VNode } from "preact";
import { t } from "../../core/text/i18n";
import { eventsLoaded } from "../../state/events";
import { runningOn } from "../../state/jobs";
import { offlineText } from "../node/offline-text";

/** The reason as a text; blank until the events are loaded. */
export function OfflineCause({ id }: { id: string }): VNode {
  const how = runningOn.value.get(id)?.action === "reboot" ? t`Being restarted by a job` : offlineText(id)?.short;
  return <>{how ?? (eventsLoaded.value ? t`No contact` : "\u00a0")}</>;
}
