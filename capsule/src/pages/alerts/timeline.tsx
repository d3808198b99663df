/** The timeline of an incident: alerts, events, jobs and messages about its servers, the newest last. */

import { useState } from "preact/hooks";
import { deliverySentence, kindWords } from "../../core/alerts/delivery-text";
import { eventText } from "../../core/events/event-text";
import { t, timeOrDate } from "../../core/text";
import { findIncident, loadChannels } from "../../state/alert-calls";
import { dayStart } from "../../state/clock";
import { nodeName } from "../../state/fleet";
import { nodeLabel } from "../../state/node-label";
import type { AlertView, IncidentView, TimelineEntry } from "../../state/types";
import { Failure, Glyph, type GlyphKind, Icon, Loading } from "../../ui";
import { Time } from "../../ui/time";
import { useAnswer } from "../use-answer";

const OF_SEVERITY = { error: "fail", warning: "warn", info: "done" } as const;
const OF_DELIVERY = { sent: "done", failed: "fail", due: "run", sending: "run", deferred: "wait", skipped: "ended" } as const;

const subject = ({ rule_name, object, node_id }: AlertView): string =>
  `${rule_name}${object && ` (${object})`} · ${node_id === null ? t`Ground Control` : nodeLabel(node_id)}`;

function words(
  { kind, alert_id, event, delivery }: TimelineEntry,
  alerts: readonly AlertView[],
  channelName: (id: string) => string,
): readonly [GlyphKind, string] {
  if (event) return [OF_SEVERITY[event.severity], eventText(event, nodeName)];
  if (delivery)
    return [
      OF_DELIVERY[delivery.state],
      t`Message to ${channelName(delivery.channel_id)}, ${kindWords(delivery.kind)}: ${deliverySentence(delivery, dayStart.value)}`,
    ];
  const alert = alerts.find(({ id }) => id === alert_id);
  const what = alert ? subject(alert) : t`an alert`;
  return kind === "fired" ? [alert?.level === "critical" ? "crit" : "warn", t`Fired: ${what}`] : ["done", t`Ended: ${what}`];
}

/** A button that opens the timeline, which is loaded only then. `shown`: it is open at first. */
export function TimelineFold({ incident, shown = false }: { incident: IncidentView; shown?: boolean }) {
  const [open, setOpen] = useState(shown);
  return (
    <div class="incident-part">
      <button
        type="button"
        class="button quiet slim"
        aria-expanded={open}
        aria-label={t`Timeline of ${incident.title}`}
        onClick={() => setOpen(!open)}
      >
        <span>{t`Timeline`}</span>
        <Icon name="chevron-down" size="small" />
      </button>
      {open && <Timeline incident={incident} />}
    </div>
  );
}

function Timeline({ incident }: { incident: IncidentView }) {
  // The timeline grows whenever the incident or one of its alerts changes.
  const question = [
    incident.id,
    incident.state,
    JSON.stringify(incident.alerts.map(({ id, state, level, flags }) => [id, state, level, flags])),
  ];
  const { found, failure, load } = useAnswer(() => Promise.all([findIncident(incident.id), loadChannels()]), question);
  if (failure) return <Failure title={t`The timeline could not be read`} error={failure} onRetry={load} />;
  if (!found) return <Loading rows={3} what={t`the timeline`} onRetry={load} />;
  const [detail, channels] = found;
  const names = new Map(channels.map(({ id, name }) => [id, name]));
  return (
    <ul class="event-list" aria-label={t`Timeline`}>
      {detail.timeline_cut && <li class="t3">{t`Some of what happened is left out.`}</li>}
      {detail.timeline.map((entry, index) => {
        const [glyph, text] = words(entry, detail.alerts, (id) => names.get(id) ?? t`deleted channel`);
        return (
          <li key={`${entry.at} ${index}`}>
            <Glyph kind={glyph} label="" />
            <span>{text}</span>
            <span class="t3">
              <Time at={entry.at}>{timeOrDate(entry.at, dayStart.value)}</Time>
            </span>
          </li>
        );
      })}
    </ul>
  );
}
