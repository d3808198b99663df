/** The page of one incident. Messages about the incident link to it. */

import { duration, t, timeOrDate } from "../../core/text";
import { findIncident } from "../../state/alert-calls";
import { dayStart } from "../../state/clock";
import { endedIncidents, incidents } from "../../state/incidents";
import { Empty, Failure, Glyph, Loading } from "../../ui";
import { Time } from "../../ui/time";
import { IncidentContext } from "./alert-context";
import { AlertsCut, AlertTable } from "./alert-table";
import { WhoWasTold } from "./explanation";
import { FiringTab } from "./firing";
import { NodeLinks } from "./node-links";
import { TimelineFold } from "./timeline";
import { useAnswer } from "../use-answer";

export function IncidentPanel({ id }: { id: string }) {
  const { incidents: open, failure } = incidents.value;
  return (
    <div class="stack">
      <p>
        <a class="accent" href="/alerts">{t`All alerts`}</a>
      </p>
      {!open && !failure ? (
        <Loading what={t`the incident`} />
      ) : open?.some((one) => one.id === id) ? (
        <FiringTab only={id} />
      ) : (
        <EndedIncident id={id} />
      )}
    </div>
  );
}

function EndedIncident({ id }: { id: string }) {
  const { found, failure, load } = useAnswer(() => findIncident(id), [id, endedIncidents.value]);
  if (failure && failure.status >= 400 && failure.status < 500)
    return (
      <Empty
        icon="bell"
        title={t`There is no such incident`}
        text={t`The address is wrong, the incident is no longer kept, or you may not see its servers.`}
      />
    );
  if (failure) return <Failure title={t`The incident could not be read`} error={failure} onRetry={load} />;
  if (!found) return <Loading what={t`the incident`} onRetry={load} />;
  return (
    <section class="card incident" aria-label={found.title}>
      <header>
        <Glyph kind={found.resolved_at === null ? (found.level === "critical" ? "crit" : "warn") : "done"} />
        <h2 class="anywhere">{found.title}</h2>
        <span class="t3 meta end nowrap">
          {found.resolved_at !== null && `${t`ended after ${duration(found.resolved_at - found.since_at)}`} · `}
          <Time at={found.since_at}>{timeOrDate(found.since_at, dayStart.value)}</Time>
        </span>
      </header>
      <p class="meta t3 incident-nodes">
        <NodeLinks nodes={found.nodes} />
      </p>
      <AlertTable alerts={found.alerts} several={found.nodes.length > 1} />
      <AlertsCut incident={found} />
      <WhoWasTold alerts={found.alerts} />
      <IncidentContext alerts={found.alerts} />
      <TimelineFold incident={found} shown />
    </section>
  );
}
