/** The cause of an issue: since when, until when (from the history of a few nodes), and why the node is offline. */

import type { VNode } from "preact";
import type { Level } from "../../core/nodes/node-status";
import { fullInText, durationAbove } from "../../core/nodes/disk-forecast";
import { t } from "../../core/text/i18n";
import { seriesName } from "../../core/metrics/series";
import { holdThreshold } from "../../core/nodes/cpu-smoothing";
import { size } from "../../core/text/units";
import { eventsLoaded } from "../../state/events";
import { nodeSignal } from "../../state/fleet";
import { diskGrowth } from "../../state/disk-growth";
import { runningOn } from "../../state/jobs";
import { BUCKET_S } from "../../state/sparklines";
import { offlineText } from "../node/offline-text";
import { useSpark } from "./cells";
import { BLANK, issueText, type FleetIssue } from "./issue-list";

export function IssueCause(one: FleetIssue): VNode {
  const { id, kind, mount, busy } = one;
  if (kind === "off") {
    const how = runningOn.value.get(id)?.action === "reboot" ? t`Being restarted by a job` : offlineText(id)?.short;
    return issueText({ ...one, more: how ?? (eventsLoaded.value ? one.more : BLANK) });
  }
  if (busy) return <Busy {...one} busy={busy} />;
  const latest = nodeSignal(id)?.value.latest;
  if (!mount || !latest) return issueText(one);
  const [used = null, whole = null] = ["used", "size"].map((what) => latest[seriesName(`filesystem.${what}`, "mount", mount)]?.value);
  const when = fullInText(diskGrowth(id, mount).value, used, whole);
  return issueText({ ...one, more: when ? t`${when} at this rate` : t`${size(used)} of ${size(whole)}` });
}

const Busy = (one: FleetIssue & { busy: Level }): VNode => issueText(one, durationAbove(useSpark(one.id), BUCKET_S, holdThreshold(one.busy)));
