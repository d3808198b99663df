/** What needs a person, with since when and until when, which the history of a few nodes says, and how it was lost. */

import type { VNode } from "preact";
import type { Level } from "../../core/facts";
import { fillsIn, lasting } from "../../core/growth";
import { t } from "../../core/say";
import { seriesName } from "../../core/series";
import { holds } from "../../core/settle";
import { size } from "../../core/units";
import { eventsLoaded } from "../../state/events";
import { nodeSignal } from "../../state/fleet";
import { growthOf } from "../../state/growth";
import { runningOn } from "../../state/jobs";
import { BUCKET_S } from "../../state/sparks";
import { lostHow } from "../node/gone";
import { useSpark } from "./cells";
import { NOTHING, troubleWords, type Trouble } from "./attention";

export function Cause(one: Trouble): VNode {
  const { id, kind, mount, busy } = one;
  if (kind === "off") {
    const how = runningOn.value.get(id)?.action === "reboot" ? t`Being restarted by a job` : lostHow(id)?.short;
    return troubleWords({ ...one, more: how ?? (eventsLoaded.value ? one.more : NOTHING) });
  }
  if (busy) return <Busy {...one} busy={busy} />;
  const latest = nodeSignal(id)?.value.latest;
  if (!mount || !latest) return troubleWords(one);
  const [used = null, whole = null] = ["used", "size"].map((what) => latest[seriesName(`filesystem.${what}`, "mount", mount)]?.value);
  const when = fillsIn(growthOf(id, mount).value, used, whole);
  return troubleWords({ ...one, more: when ? t`${when} at this rate` : t`${size(used)} of ${size(whole)}` });
}

const Busy = (one: Trouble & { busy: Level }): VNode => troubleWords(one, lasting(useSpark(one.id), BUCKET_S, holds(one.busy)));
