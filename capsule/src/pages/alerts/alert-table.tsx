/** The alerts of an incident. Users with the right to act can acknowledge, snooze and select firing alerts. */

import { useState } from "preact/hooks";
import { endWords, flagWords } from "../../core/alerts/alert-text";
import { readingText } from "../../core/alerts/alert-values";
import { elapsed, plural, t, timeOrDate } from "../../core/text";
import { rules } from "../../state/alert-calls";
import { dayStart, now } from "../../state/clock";
import { nodeSignal } from "../../state/fleet";
import { nodeLabel } from "../../state/node-label";
import { mayAct } from "../../state/session";
import type { AlertView, IncidentView } from "../../state/types";
import { Button, Glyph } from "../../ui";
import { GridHead, Cell } from "../../ui/grid-head";
import { ShowMore } from "../../ui/show-more";
import { Time } from "../../ui/time";
import { VerbButton } from "../node/upgrade";
import { SnoozeButton } from "./alert-actions";
import { Explanation } from "./explanation";

/** The number of alerts that are shown at first: an incident of a whole fleet has one alert for each server. */
const FIRST = 50;

const JOBS = { tab: "jobs", label: t`Jobs` };
/** Key: the expression of a rule. Value: the tab of the node's page that lists what the rule finds. */
const PLACES: Readonly<Record<string, { tab: string; label: string } | undefined>> = {
  "state(unit_failed)": { tab: "services", label: t`Services` },
  "state(job_failed)": JOBS,
  "event(job_interrupted)": JOBS,
  "event(job_incomplete)": JOBS,
};

const ruleName = (id: string): string => rules.value?.find((one) => one.id === id)?.name ?? id;

interface Props {
  alerts: readonly AlertView[];
  /** Whether the incident is about several nodes, so that each alert names its node. */
  several: boolean;
  /** Whether the name of the alert links to its own page. */
  link?: boolean;
  picked?: ReadonlySet<string>;
  onPick?: (id: string) => void;
  onAcknowledge?: (alert: AlertView) => void;
}

export function AlertTable({ alerts, several, link = false, picked, onPick, onAcknowledge }: Props) {
  const [open, setOpen] = useState("");
  const [most, setMost] = useState(FIRST);
  return (
    <>
      <div class="grid-table alert-table" role="table" aria-label={t`Alerts of the incident`}>
        <GridHead
          labels={[t`Level`, t`Alert`, t`Value`, t`Since`, t`Actions`]}
          unseen={[t`Level`, t`Alert`, t`Value`, t`Since`, t`Actions`]}
        />
        {alerts.slice(0, most).map((alert) => [
          <Row
            key={alert.id}
            alert={alert}
            several={several}
            link={link}
            open={open === alert.id}
            picked={picked?.has(alert.id) ?? false}
            onPick={onPick}
            onAcknowledge={onAcknowledge}
            onExplain={() => setOpen(open === alert.id ? "" : alert.id)}
          />,
          open === alert.id && (
            <div key={`${alert.id}-why`} role="row" class="opened">
              <Cell>
                <Explanation alert={alert} />
              </Cell>
            </div>
          ),
        ])}
      </div>
      <ShowMore more={alerts.length > most} class="more-alerts" onMore={() => setMost(most + FIRST)} />
    </>
  );
}

/** A note that an incident has more alerts than the hub sends. */
export function AlertsCut({ incident }: { incident: IncidentView }) {
  return incident.alerts_cut ? (
    <p class="t3 incident-nodes">{t`Only its newest ${plural(incident.alerts.length, "alert")} are listed.`}</p>
  ) : null;
}

/** The present value with its limit. The value of an alert that ended, and one that is not known now, is that of its start. */
function valueText(alert: AlertView, unit: string): string {
  const text = readingText(alert.present ?? alert.value, alert.threshold, unit);
  return text && alert.state === "firing" && alert.present === null ? t`${text}, when it fired` : text;
}

interface RowProps extends Pick<Props, "several" | "link" | "onPick" | "onAcknowledge"> {
  alert: AlertView;
  open: boolean;
  picked: boolean;
  onExplain: () => void;
}

function Row({ alert, several, link, open, picked, onPick, onAcknowledge, onExplain }: RowProps) {
  const title = alert.object ? `${alert.rule_name}: ${alert.object}` : alert.rule_name;
  const unit = rules.value?.find((one) => one.id === alert.rule_id)?.unit ?? "";
  const firing = alert.state === "firing";
  const acts = firing && mayAct.value;
  return (
    <div
      role="row"
      tabIndex={0}
      aria-label={title}
      onKeyDown={(event) => event.key === "Enter" && event.target === event.currentTarget && onExplain()}
    >
      <Cell class="row">
        {acts && onPick && (
          <label class="pick">
            <input type="checkbox" checked={picked} aria-label={t`Select ${title}`} onChange={() => onPick(alert.id)} />
          </label>
        )}
        <Glyph
          kind={!firing ? "done" : alert.notice ? "notice" : alert.level === "critical" ? "crit" : "warn"}
          label={firing ? undefined : endWords(alert)}
        />
      </Cell>
      <Cell class="alert-what">
        <span class="medium anywhere">{link ? <a href={`/alerts/${alert.incident_id}`}>{alert.rule_name}</a> : alert.rule_name}</span>
        {alert.object && <span class="t2 anywhere"> {alert.object}</span>}
        {several && alert.node_id && (
          <a class="t3" href={`/n/${alert.node_id}`}>
            {" "}
            {nodeLabel(alert.node_id)}
          </a>
        )}
        <Flags alert={alert} />
        {alert.note && <span class="t3 meta anywhere note">{t`“${alert.note}”`}</span>}
      </Cell>
      <Cell class="t2 num">{valueText(alert, unit)}</Cell>
      <Cell class="t3 nowrap">
        {firing ? (
          <Time at={alert.since_at}>{timeOrDate(alert.since_at, dayStart.value)}</Time>
        ) : (
          `${endWords(alert)} · ${elapsed(alert.since_at, alert.resolved_at, dayStart.value)}`
        )}
      </Cell>
      <Cell class="row right">
        {firing && <PlaceLink alert={alert} />}
        {acts && <HelpButton alert={alert} />}
        {acts && onAcknowledge && !alert.flags.acknowledged && (
          <Button
            slim
            icon="check"
            more={{ "aria-keyshortcuts": "e", "aria-label": t`Acknowledge ${title}` }}
            onClick={() => onAcknowledge(alert)}
          >
            {t`Acknowledge`}
          </Button>
        )}
        {acts && <SnoozeButton alerts={[alert]} slim />}
        <Button slim kind="quiet" more={{ "aria-expanded": open, "aria-label": t`Explain ${title}` }} onClick={onExplain}>
          {t`Explain`}
        </Button>
      </Cell>
    </div>
  );
}

/** The link to the list that shows the fault of the alert; nothing if there is none. */
function PlaceLink({ alert }: { alert: AlertView }) {
  const place = PLACES[rules.value?.find(({ id }) => id === alert.rule_id)?.expr ?? ""];
  if (!place || alert.node_id === null) return null;
  return (
    <a class="button slim" href={`/n/${alert.node_id}/${place.tab}`}>
      {place.label}
    </a>
  );
}

/** The button of the action that helps against the alert, as on the node's page; nothing if there is none. */
function HelpButton({ alert }: { alert: AlertView }) {
  const view = alert.node_id === null ? undefined : nodeSignal(alert.node_id)?.value;
  const action = view?.health.findings.find(({ alert_id }) => alert_id === alert.id)?.action;
  return view && action ? <VerbButton view={view} verb={action} /> : null;
}

function Flags({ alert }: { alert: AlertView }) {
  const flags = flagWords(alert, alert.flags.snoozed_until === null ? 0 : now.value, ruleName);
  if (!flags.length && !alert.retro) return null;
  return (
    <span class="row wrap flags">
      {alert.retro && <span class="pill small">{t`seen afterwards`}</span>}
      {flags.map(({ key, text, kind }) => (
        <span key={key} class={`pill small ${kind}`}>
          {text}
        </span>
      ))}
    </span>
  );
}
