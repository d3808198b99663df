import { useEffect, useState } from "preact/hooks";
import { duration, plural, t, timeOrDate } from "../../core/text";
import { findResolvedIncidents } from "../../state/alert-calls";
import { dayStart } from "../../state/clock";
import { endedIncidents } from "../../state/incidents";
import type { IncidentView } from "../../state/types";
import { Empty, Glyph, Icon } from "../../ui";
import { GridHead, Cell } from "../../ui/grid-head";
import { rowOpening } from "../../ui/row-opening";
import { Time } from "../../ui/time";
import { ListView, useList, pageOf } from "../list-view";
import { AlertsCut, AlertTable } from "./alert-table";
import { NodeLinks } from "./node-links";
import { TimelineFold } from "./timeline";

export function HistoryTab() {
  const list = useList<IncidentView>(pageOf(findResolvedIncidents, "incidents"), (one) => one.id);
  const [open, setOpen] = useState("");
  const ended = endedIncidents.value;
  useEffect(() => {
    if (ended) list.load();
  }, [ended]);
  return (
    <ListView
      list={list}
      what={t`the history`}
      refused={t`Your role cannot see alerts.`}
      empty={
        <Empty icon="clock" title={t`No incident has ended yet`} text={t`Incidents are listed here when all their alerts have ended.`} />
      }
    >
      {(items) => (
        <div class="card grid-table history-table" role="table" aria-label={t`Ended incidents`}>
          <GridHead labels={[t`Level`, t`Incident`, t`Servers`, t`Began`, t`Lasted`, t`Alerts`]} unseen={[t`Level`]} />
          {items.map((incident) => [
            <Row
              key={incident.id}
              incident={incident}
              open={open === incident.id}
              onOpen={() => setOpen(open === incident.id ? "" : incident.id)}
            />,
            open === incident.id && (
              <div key={`${incident.id}-alerts`} role="row" class="opened">
                <Cell>
                  <AlertTable alerts={incident.alerts} several={incident.nodes.length > 1} />
                  <AlertsCut incident={incident} />
                  <TimelineFold incident={incident} />
                </Cell>
              </div>
            ),
          ])}
        </div>
      )}
    </ListView>
  );
}

function Row({ incident, open, onOpen }: { incident: IncidentView; open: boolean; onOpen: () => void }) {
  const count = incident.alerts_cut ? t`more than ${plural(incident.alerts.length, "alert")}` : plural(incident.alerts.length, "alert");
  const retro = incident.alerts.length > 0 && incident.alerts.every((alert) => alert.retro);
  return (
    <div role="row" class={retro ? "retro" : ""} {...rowOpening(onOpen)}>
      <Cell>
        <Glyph kind={incident.level === "critical" ? "crit" : "warn"} />
      </Cell>
      <Cell head class="row wrap">
        <span class="medium anywhere">{incident.title}</span>
        {retro && (
          <span class="pill small" title={t`It began and ended while Ground Control could not see it. Nobody was notified.`}>
            {t`seen afterwards`}
          </span>
        )}
      </Cell>
      <Cell class="t2 cut">
        <NodeLinks nodes={incident.nodes} />
      </Cell>
      <Cell class="t3">
        <Time at={incident.since_at}>{timeOrDate(incident.since_at, dayStart.value)}</Time>
      </Cell>
      <Cell class="t3">{incident.resolved_at === null ? "—" : duration(incident.resolved_at - incident.since_at)}</Cell>
      <Cell class="right">
        <button type="button" class="button quiet slim" aria-expanded={open} aria-label={t`${count} of ${incident.title}`} onClick={onOpen}>
          <span>{count}</span>
          <Icon name="chevron-down" size="small" />
        </button>
      </Cell>
    </div>
  );
}
