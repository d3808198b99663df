/** The tab of the open incidents: their alerts, and the actions on selected alerts. */

import { useState } from "preact/hooks";
import { isNotice, openIncidents, type IncidentGroup } from "../../core/alerts/alert-text";
import { age, plural, t, timeOrDate } from "../../core/text";
import { readPresentValues, rules } from "../../state/alert-calls";
import { alerts } from "../../state/alerts";
import { dayStart, now } from "../../state/clock";
import { ids as nodeIds } from "../../state/fleet";
import { incidents } from "../../state/incidents";
import { nodeLabel } from "../../state/node-label";
import { mayAct } from "../../state/session";
import { toast } from "../../state/toasts";
import type { AlertView, IncidentView } from "../../state/types";
import { Button, Empty, Failure, Glyph, Loading } from "../../ui";
import { StaleNotice } from "../../ui/stale-notice";
import { Time } from "../../ui/time";
import { AcknowledgeDialog, SnoozeButton } from "./alert-actions";
import { IncidentContext } from "./alert-context";
import { AlertsCut, AlertTable } from "./alert-table";
import { NodeLinks } from "./node-links";
import { WhoWasTold } from "./explanation";
import { TimelineFold } from "./timeline";
import { usePolling } from "../bulk/use-polling";

const retry = (): void => location.reload();
const VALUES_EVERY_MS = 10_000;

function Quiet() {
  const watching = rules.value?.filter(({ enabled }) => enabled).length;
  const text =
    watching === undefined
      ? t`Everything that a rule watches is in order.`
      : t`${plural(nodeIds.value.length, "server is", "servers are")} watched by ${plural(watching, "rule")}.`;
  return <Empty icon="bell" title={t`Nothing fires`} text={text} />;
}

/** `only`: the id of the only incident to show; empty: all incidents. */
export function FiringTab({ only = "" }: { only?: string }) {
  const { incidents: open, more, failure } = incidents.value;
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const [acknowledging, setAcknowledging] = useState<readonly AlertView[] | null>(null);
  usePolling("present-values", VALUES_EVERY_MS, readPresentValues, () => true);
  if (!open && failure) return <Failure title={t`The alerts could not be read`} error={failure} onRetry={retry} />;
  if (!open) return <Loading what={t`the alerts`} />;
  const groups = openIncidents<AlertView, IncidentView>(only ? open.filter(({ id }) => id === only) : open, alerts.value);
  if (!groups.length) {
    return (
      <div class="stack">
        <StaleNotice failure={failure} />
        <Quiet />
      </div>
    );
  }
  const chosen = groups.flatMap(({ firing }) => firing).filter(({ id }) => picked.has(id));
  const pick = (id: string): void => {
    const next = new Set(picked);
    if (!next.delete(id)) next.add(id);
    setPicked(next);
  };
  const clear = (): void => setPicked(new Set());
  const notices = groups.filter(isNotice);
  const incident = (group: IncidentGroup<IncidentView, AlertView>) => (
    <Incident
      key={group.incident.id}
      group={group}
      whole={only !== ""}
      picked={picked}
      onPick={pick}
      onAcknowledge={(alert) => setAcknowledging([alert])}
    />
  );
  return (
    <div class="stack">
      <StaleNotice failure={failure} />
      {!only && notices.length === groups.length && <Quiet />}
      {groups.filter((group) => !isNotice(group)).map(incident)}
      {notices.length > 0 && (
        <details class="options" open={only !== ""}>
          <summary>
            {plural(notices.length, "notice")} <span class="t3">{t`Shown only: nobody is notified.`}</span>
          </summary>
          <div class="stack">{notices.map(incident)}</div>
        </details>
      )}
      {more && !only && <p class="t3">{t`More incidents are open than are listed here.`}</p>}
      {mayAct.value && chosen.length > 0 && (
        <div class="selection card" role="region" aria-label={t`Selection`}>
          <b class="strong num" role="status">
            {t`${plural(chosen.length, "alert")} selected`}
          </b>
          <Button kind="primary" icon="check" onClick={() => setAcknowledging(chosen)}>
            {t`Acknowledge…`}
          </Button>
          <SnoozeButton alerts={chosen} onDone={clear} />
          <Button kind="quiet" name={t`Clear`} icon="x" onClick={clear} />
        </div>
      )}
      {acknowledging && (
        <AcknowledgeDialog
          alerts={acknowledging}
          onClose={() => setAcknowledging(null)}
          onDone={() => {
            toast("done", acknowledging.length > 1 ? t`${plural(acknowledging.length, "alert")} acknowledged` : t`Acknowledged`);
            setAcknowledging(null);
            clear();
          }}
        />
      )}
    </div>
  );
}

/** The node with whose name the title begins, so that the name stands once, as a link; null = the title names several, or none. */
function nameInTitle({ nodes: [id, other], title }: IncidentView): { id: string; name: string } | null {
  const name = id === undefined || other !== undefined ? "" : nodeLabel(id);
  return id !== undefined && name && title.startsWith(`${name}: `) ? { id, name } : null;
}

interface IncidentProps {
  /** Whether this is the incident's own page, with what was around its alerts and who was told. */
  whole: boolean;
  group: IncidentGroup<IncidentView, AlertView>;
  picked: ReadonlySet<string>;
  onPick: (id: string) => void;
  onAcknowledge: (alert: AlertView) => void;
}

function Incident({ group: { incident, firing, ended }, whole, picked, onPick, onAcknowledge }: IncidentProps) {
  if (!whole && firing.length === 1 && !ended) {
    return (
      <section class="card incident" aria-label={incident.title}>
        <AlertTable alerts={firing} several link picked={picked} onPick={onPick} onAcknowledge={onAcknowledge} />
      </section>
    );
  }
  const named = nameInTitle(incident);
  const title = named ? incident.title.slice(named.name.length + 2) : incident.title;
  return (
    <section class="card incident" aria-label={incident.title}>
      <header>
        <Glyph kind={isNotice({ firing }) ? "notice" : incident.level === "critical" ? "crit" : "warn"} />
        <h2 class="anywhere">
          {named && (
            <>
              <a class="accent" href={`/n/${named.id}`}>
                {named.name}
              </a>
              {": "}
            </>
          )}
          {whole ? title : <a href={`/alerts/${incident.id}`}>{title}</a>}
        </h2>
        <span class="t3 meta nowrap">{t`for ${age(now.value - incident.since_at)}`}</span>
        <span class="t3 meta nowrap">
          <Time at={incident.since_at}>{timeOrDate(incident.since_at, dayStart.value)}</Time>
        </span>
      </header>
      {(!named || ended > 0) && (
        <p class="meta t3 incident-nodes">
          {[
            !named && <NodeLinks nodes={incident.nodes} />,
            !named && ended > 0 && " · ",
            ended > 0 && t`${plural(ended, "alert")} of it ended`,
          ]}
        </p>
      )}
      {firing.length > 0 ? (
        <AlertTable alerts={firing} several={incident.nodes.length > 1} picked={picked} onPick={onPick} onAcknowledge={onAcknowledge} />
      ) : (
        <p class="t3 incident-nodes">{t`All its alerts ended. It is closed soon.`}</p>
      )}
      <AlertsCut incident={incident} />
      {whole && <WhoWasTold alerts={firing.length > 0 ? firing : incident.alerts} />}
      {whole && <IncidentContext alerts={firing} />}
      {whole && <TimelineFold incident={incident} shown />}
    </section>
  );
}
