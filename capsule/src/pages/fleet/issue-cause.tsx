/** Why a node is offline, from the newest events. */

import type { VNode } from "preact";
import { t } from "../../core/text/i18n";
import { eventsLoaded } from "../../state/events";
import { runningOn } from "../../state/jobs";
import { offlineText } from "../node/offline-text";

/** Blank until the events are known. */
export function OfflineCause({ id, address }: { id: string; address: string }): VNode {
  const how = runningOn.value.get(id)?.action === "reboot" ? t`Being restarted by a job` : offlineText(id)?.short;
  return <>{how ?? (eventsLoaded.value ? address : "\u00a0")}</>;
}
