/** What happened to the servers of an incident in its time: alerts, events, jobs and messages, the newest last. */

import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { deliverySentence, kindWords } from "../../core/alerts/delivery-text";
import { eventText } from "../../core/events/event-text";
import { t } from "../../core/text/i18n";
import { timeOrDate } from "../../core/text/time";
import { findIncident, loadChannels } from "../../state/alert-calls";
import { dayStart } from "../../state/clock";
import { nodeName } from "../../state/fleet";
import { nodeLabel } from "../../state/node-label";
import { ApiError, type AlertView, type IncidentDetailView, type IncidentView, type TimelineEntry } from "../../state/types";
import { Glyph, type GlyphKind } from "../../ui/glyph";
import { Icon } from "../../ui/icon";
import { Failure, Loading } from "../../ui/load-states";
import { Time } from "../../ui/time";

const OF_SEVERITY = { error: "fail", warning: "warn", info: "done" } as const;
const OF_DELIVERY = { sent: "done", failed: "fail", due: "run", sending: "run", deferred: "wait", skipped: "off" } as const;

const subject = ({ rule_name, object, node_id }: AlertView): string => `${rule_name}${object && ` (${object})`} · ${node_id === null ? t`Ground Control` : nodeLabel(node_id)}`;

function words({ kind, alert_id, event, delivery }: TimelineEntry, alerts: readonly AlertView[], channelName: (id: string) => string): readonly [GlyphKind, string] {
  if (event) return [OF_SEVERITY[event.severity], eventText(event, nodeName)];
  if (delivery) return [OF_DELIVERY[delivery.state], t`Message to ${channelName(delivery.channel_id)}, ${kindWords(delivery.kind)}: ${deliverySentence(delivery, dayStart.value)}`];
  const alert = alerts.find(({ id }) => id === alert_id);
  const what = alert ? subject(alert) : t`an alert`;
  return kind === "fired" ? [alert?.level === "critical" ? "crit" : "warn", t`Fired: ${what}`] : ["done", t`Ended: ${what}`];
}

/** A button that opens the timeline. Nothing is read before. */
export function TimelineFold({ incident }: { incident: IncidentView }): VNode {
  const [open, setOpen] = useState(false);
  return (
    <div class="incident-nodes">
      <button type="button" class="button quiet slim" aria-expanded={open} aria-label={t`Timeline of ${incident.title}`} onClick={() => setOpen(!open)}>
        <span>{t`Timeline`}</span>
        <Icon name="chevron-down" size="small" />
      </button>
      {open && <Timeline incident={incident} />}
    </div>
  );
}

function Timeline({ incident }: { incident: IncidentView }): VNode {
  const [found, setFound] = useState<IncidentDetailView | null>(null);
  const [names, setNames] = useState<ReadonlyMap<string, string>>(new Map());
  const [failure, setFailure] = useState<ApiError | null>(null);
  const load = async (): Promise<void> => {
    setFailure(null);
    try {
      const [detail, channels] = await Promise.all([findIncident(incident.id), loadChannels()]);
      setNames(new Map(channels.map(({ id, name }) => [id, name])));
      setFound(detail);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setFailure(error);
    }
  };
  // Its alerts change with what happens.
  useEffect(() => void load(), [incident.id, incident.state, JSON.stringify(incident.alerts.map(({ id, state, level, flags }) => [id, state, level, flags]))]);
  if (failure) return <Failure title={t`The timeline could not be read`} error={failure} onRetry={() => void load()} />;
  if (!found) return <Loading rows={3} what={t`the timeline`} onRetry={() => void load()} />;
  return (
    <ul class="event-list" aria-label={t`Timeline`}>
      {found.timeline_cut && <li class="t3">{t`Some of what happened is left out.`}</li>}
      {found.timeline.map((entry, index) => {
        const [glyph, text] = words(entry, found.alerts, (id) => names.get(id) ?? t`deleted channel`);
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
