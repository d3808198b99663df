/** The tables that a node reports: processes, hardware, services. */

import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { cellText, columnLabel, filterRows, sinceJobText, sortRows, type RowOrder } from "../../core/nodes/node-tables";
import { plural, shortDuration as age, t, timeOrDate } from "../../core/text";
import { dayStart, hubNow, now } from "../../state/clock";
import { jobs } from "../../state/jobs";
import { chooseMoment, chosenMoment, MINUTE_S } from "../../state/moment";
import type { NodeDetail } from "../../state/node-detail";
import type { NodeView, TableView } from "../../state/types";
import { Button, Empty, Failure, Icon, lazy, Loading, TextField } from "../../ui";
import { useIsPhone } from "../../ui/use-is-phone";
import { Time } from "../../ui/time";
import { Skeleton } from "./skeleton";
import type { ContainersProps } from "./containers";
import type { PastProps } from "./past-processes";
import type { UnitsProps } from "./units";

interface Props {
  detail: NodeDetail;
}

/** The tables of some subjects, or `nothing` if the node reports none of them. */
function Tables({ detail, subjects, nothing }: Props & { subjects: readonly Subject[]; nothing: VNode }) {
  useEffect(() => void detail.loadTables(), [detail]);
  const tables = detail.tables.value;
  const failure = detail.tablesFailure.value;
  if (failure) return <Failure title={t`This could not be read`} error={failure} onRetry={() => void detail.loadTables()} />;
  if (!tables) return <Loading what={t`the node’s details`} onRetry={() => void detail.loadTables()} />;
  const ends = jobs.value.map(({ node_id, action, started_at, ended_at }) =>
    node_id === detail.id && action !== "plan" && started_at !== null ? (ended_at ?? 0) : 0,
  );
  const changedAt = Math.max(0, ...ends);
  const shown = subjects.flatMap((subject) => (tables[subject.name] ? [{ subject, table: tables[subject.name] as TableView }] : []));
  if (!shown.length) return nothing;
  return (
    <div class="stack">
      {shown.map(({ subject, table }) => (
        <FactsTable key={subject.name} subject={subject} table={table} changedAt={subject.changes ? changedAt : 0} />
      ))}
    </div>
  );
}

interface Subject {
  name: string;
  /** The end of a job may have changed it. */
  changes?: boolean;
  title: string;
  /** The text for an empty table. */
  none: string;
  order?: RowOrder;
  /** The shown columns; all by default. */
  only?: readonly string[];
  /** The columns that are first on a phone. */
  first?: readonly string[];
  /** Whether rows change every second, so that the table needs a button to freeze it. */
  restless?: boolean;
}

const PROCESSES: readonly Subject[] = [
  {
    name: "processes",
    title: t`Processes`,
    none: t`No processes were seen.`,
    order: { column: "cpu", down: true },
    restless: true,
    first: ["name", "cpu", "memory", "user", "pid"],
  },
];
const BUSIEST: Subject = {
  name: "processes",
  title: t`Processes`,
  none: t`No processes were seen.`,
  order: { column: "cpu", down: true },
  restless: true,
  only: ["pid", "name", "user", "cpu", "memory", "started_at"],
};
const HARDWARE: readonly Subject[] = [
  { name: "disks", title: t`Disks`, none: t`No disks were seen.`, first: ["name", "size", "mounts"] },
  { name: "arrays", title: t`Arrays and pools`, none: t`None.` },
  { name: "interfaces", title: t`Network interfaces`, none: t`No interfaces were seen.`, first: ["name", "state", "addresses"] },
  { name: "batteries", title: t`Batteries`, none: t`None.` },
];
const AVAILABLE: readonly Subject[] = [
  {
    name: "updates",
    changes: true,
    title: t`Updates`,
    none: t`Everything is up to date, according to this node’s package lists.`,
    order: { column: "security", down: true },
  },
  { name: "held", changes: true, title: t`Held`, none: t`Nothing is held.` },
  { name: "package_faults", changes: true, title: t`Broken packages`, none: t`Every package is in order.` },
  { name: "repositories", title: t`Repositories`, none: t`No repository is enabled.` },
];
/** The same tables with broken packages first: while packages are broken, the table of updates proves little. */
const BROKEN_FIRST = [...AVAILABLE].sort((a, b) => Number(b.name === "package_faults") - Number(a.name === "package_faults"));
const SERVICES: readonly Subject[] = [
  { name: "services", changes: true, title: t`Failed and restarted units`, none: t`No unit has failed or was restarted.` },
  { name: "listening", title: t`Listening sockets`, none: t`Nothing is listening.` },
  { name: "timers", title: t`Timers`, none: t`None active.` },
  { name: "users", title: t`Logged in`, none: t`Nobody is logged in.` },
];

export const PastProcesses = lazy<PastProps>(t`the past processes`, async () => (await import("./past-processes")).PastProcesses);

const PastButton = () => (
  <Button slim icon="clock" onClick={() => chooseMoment(hubNow() - MINUTE_S)}>
    {t`At a past time…`}
  </Button>
);

export function Processes({ detail }: Props) {
  const at = chosenMoment();
  if (at !== null) return <PastProcesses id={detail.id} at={at} wide={false} pinned />;
  const nothing = (
    <Empty icon="list-checks" title={t`No processes to show`} text={t`They appear within a few seconds while the node is connected.`}>
      <PastButton />
    </Empty>
  );
  return <Tables detail={detail} subjects={PROCESSES} nothing={nothing} />;
}

const TOP = 30;

/** The busiest processes, for the overview. */
export function TopProcesses({ detail }: Props) {
  useEffect(() => void detail.loadTables(), [detail]);
  const tables = detail.tables.value;
  const table = tables?.processes;
  if (!tables && !detail.tablesFailure.value) {
    // Reserves the space of the table, so that nothing moves when it appears.
    return (
      <section class="card two-wide top-processes" aria-label={BUSIEST.title}>
        <header>
          <h3>{BUSIEST.title}</h3>
        </header>
        <div class="plot">
          <Skeleton what={t`processes`} />
        </div>
      </section>
    );
  }
  return table && table.total !== null ? <FactsTable subject={BUSIEST} table={table} most={TOP} /> : null;
}

export function Hardware({ detail }: Props) {
  return (
    <Tables
      detail={detail}
      subjects={HARDWARE}
      nothing={
        <Empty
          icon="server"
          title={t`Nothing reported yet`}
          text={t`The agent reads disks and interfaces within five minutes of its start.`}
        />
      }
    />
  );
}

/** The tables about updates; nothing if the node has reported none. */
export function Available({ detail }: Props) {
  const broken = detail.tables.value?.package_faults?.total;
  return <Tables detail={detail} subjects={broken ? BROKEN_FIRST : AVAILABLE} nothing={<></>} />;
}

const ContainerTable = lazy<ContainersProps>(t`the containers`, async () => (await import("./containers")).Containers);
const UnitTable = lazy<UnitsProps>(t`the units`, async () => (await import("./units")).Units);

/** The tab of services: units (all units, or only those that failed or were restarted), containers, and other tables. */
export function Services({ detail, view }: Props & { view: NodeView }) {
  const { units, containers } = detail.tables.value ?? {};
  return (
    <div class="stack">
      {units && <UnitTable detail={detail} view={view} table={units} />}
      {containers && <ContainerTable view={view} table={containers} />}
      <Others detail={detail} listed={units !== undefined} />
    </div>
  );
}

function Others({ detail, listed }: Props & { listed: boolean }) {
  return (
    <Tables
      detail={detail}
      subjects={listed ? SERVICES.slice(1) : SERVICES}
      nothing={
        <Empty
          icon="settings"
          title={t`Nothing reported yet`}
          text={t`The agent reads services, timers and sockets within five minutes of its start.`}
        />
      }
    />
  );
}

interface FactsTableProps {
  subject: Subject;
  table: TableView;
  most?: number;
  /** When a job last ended that may have changed the table. */
  changedAt?: number;
}

function FactsTable({ subject, table, most = Infinity, changedAt = 0 }: FactsTableProps) {
  const [order, setOrder] = useState<RowOrder | null>(subject.order ?? null);
  const [words, setWords] = useState("");
  const [frozen, setFrozen] = useState<TableView | null>(null);
  const shown = frozen ?? table;
  const outdated = sinceJobText(shown.taken_at, changedAt, now.value);
  const short = Number.isFinite(most);
  const phone = useIsPhone();
  const named = (names: readonly string[]): TableView["columns"] =>
    names.flatMap((name) => shown.columns.find((column) => column.name === name) ?? []);
  const first = phone ? (subject.first ?? []) : [];
  const columns = subject.only ? named(subject.only) : [...named(first), ...shown.columns.filter((column) => !first.includes(column.name))];
  const rows = filterRows(sortRows(shown, order), words).slice(0, most);
  const places = columns.map((column) => shown.columns.indexOf(column));
  const turn = (column: string, numeric: boolean): void =>
    setOrder(order?.column === column ? { column, down: !order.down } : { column, down: numeric });
  return (
    <section class={`card ${short ? "two-wide top-processes" : ""}`} aria-label={subject.title}>
      <header class="wrap">
        <h3>{subject.title}</h3>
        <span class="t3 meta">
          {short ? t`top ${rows.length} of ${shown.total ?? 0}` : rowCountText(shown)},{" "}
          <Time at={shown.taken_at}>{timeOrDate(shown.taken_at, dayStart.value)}</Time>
        </span>
        <span class="end row wrap">
          {subject.restless && !short && <PastButton />}
          {subject.restless && (
            <Button
              slim
              icon={frozen ? "refresh-cw" : "pause"}
              more={{ "aria-pressed": frozen !== null, ...(short ? {} : { "aria-keyshortcuts": "Space" }) }}
              onClick={() => setFrozen(frozen ? null : table)}
            >
              {frozen ? t`Resume` : t`Freeze`}
            </Button>
          )}
        </span>
      </header>
      {!short && shown.rows.length > 8 && (
        <TextField
          class="facts-search"
          label={t`Search in ${subject.title}`}
          value={words}
          onText={setWords}
          type="search"
          input={{ placeholder: t`Search` }}
        />
      )}
      {outdated && (
        <p class="pad t3" role="status">
          {outdated}
        </p>
      )}
      {shown.total === null ? (
        <p class="pad t3">{t`The agent could not read this.`}</p>
      ) : !rows.length ? (
        !outdated && <p class="pad t3">{words ? t`Nothing matches the search.` : subject.none}</p>
      ) : (
        <div class="facts-scroll" role="region" aria-label={t`${subject.title}, table`} tabIndex={0}>
          <table class="facts-table">
            <thead>
              <tr>
                {columns.map((column) => (
                  <th
                    key={column.name}
                    scope="col"
                    class={column.kind === "number" ? "num" : ""}
                    aria-sort={order?.column === column.name ? (order.down ? "descending" : "ascending") : "none"}
                  >
                    <button type="button" onClick={() => turn(column.name, column.kind === "number")}>
                      {short && column.name === "started_at" ? t`Age` : columnLabel(column.name)}
                      {order?.column === column.name && <Icon name={order.down ? "arrow-down" : "arrow-up"} size="tiny" />}
                    </button>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((row, index) => (
                <tr key={index}>
                  {columns.map((column, at) => {
                    const cell = row[places[at] as number] ?? null;
                    const text =
                      short && column.name === "started_at" && typeof cell === "number"
                        ? age(now.value - cell)
                        : cellText(column, cell, now.value);
                    return (
                      <td key={column.name} class={column.kind === "number" ? "num" : ""} title={text.length > 40 ? text : undefined}>
                        {column.name === "security" && cell === "yes" ? <SecurityMark /> : text}
                      </td>
                    );
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

const SecurityMark = () => (
  <span class="warn">
    <Icon name="shield" size="tiny" />
    <span class="hidden-text">{t`yes`}</span>
  </span>
);

function rowCountText(table: TableView): string {
  if (table.total === null) return t`not read`;
  return table.total > table.rows.length ? t`${table.rows.length} of ${table.total}` : plural(table.rows.length, "row");
}
