/** The table of a node's containers. */

import { useState } from "preact/hooks";
import { formatValue } from "../../core/metrics/metric-list";
import {
  containerRows,
  hasSocket,
  isBad,
  isRunning,
  isUnnamed,
  isRestartable,
  namedInPolicy,
  restartPermission,
  type ContainerRow,
} from "../../core/nodes/containers";
import { count, plural, t, timeOrDate, UNKNOWN } from "../../core/text";
import { dayStart } from "../../state/clock";
import { mayAct } from "../../state/session";
import type { NodeView, TableView } from "../../state/types";
import { Button, Glyph, type GlyphKind } from "../../ui";
import { Time } from "../../ui/time";
import { FactsTable } from "../../ui/facts-table";
import { ConfirmRestart } from "./container-help";

export interface ContainersProps {
  view: NodeView;
  table: TableView;
}

export function Containers({ view, table }: ContainersProps) {
  const [asked, setAsked] = useState<string | null>(null);
  const rows = containerRows(table, view.latest);
  const acts = mayAct.value && view.state === "online";
  const noLine = view.policy?.containers.length === 0;
  const others = acts ? namedInPolicy(view.policy, rows) : [];
  return (
    <section class="card" aria-label={t`Containers`}>
      <header>
        <h3>{t`Containers`}</h3>
        <span class="t3 meta">
          {table.total !== null &&
            `${table.total > rows.length ? t`${count(rows.length)} of ${count(table.total)}` : plural(rows.length, "container")}, `}
          <Time at={table.taken_at}>{timeOrDate(table.taken_at, dayStart.value)}</Time>
        </span>
      </header>
      {(rows.some(isUnnamed) || (acts && noLine && rows.some(hasSocket))) && (
        <p class="pad t3 meta">
          {noLine
            ? t`The owner of this server can name containers in its policy.conf (mode = managed, version = 2), as in containers = shop, mail-*: all who see this server here then see their names and images, and operators may restart them.`
            : t`Names, images and ended containers are known of those that this server’s policy.conf allows to restart.`}{" "}
          {t`Restarts are counted since the agent first saw the container.`}
        </p>
      )}
      {others.length > 0 && (
        <p class="pad row wrap">
          {others.map((name) => (
            <Button key={name} slim onClick={() => setAsked(name)}>
              {t`Restart ${name}…`}
            </Button>
          ))}
        </p>
      )}
      {table.total === null ? (
        <p class="pad t3">{t`The agent could not read this.`}</p>
      ) : !rows.length ? (
        <p class="pad t3">{t`None running.`}</p>
      ) : (
        <FactsTable
          label={t`Containers, table`}
          heads={[t`Container`, t`State`, t`CPU`, t`Memory`, t`Started`, t`Restarts`, t`Killed for memory`, t`Engine`, t`Image`]}
          numbers={[2, 3, 5, 6]}
          acts={acts}
        >
          {rows.map((row) => (
            <tr key={`${row.engine} ${row.id} ${row.name}`}>
              <td title={row.id}>{row.name}</td>
              <td>
                <Glyph kind={markOf(row)} label="" /> {row.state}
              </td>
              <td class="num">{row.cpu === null ? UNKNOWN : formatValue(row.cpu, "percent")}</td>
              <td class="num">{row.memory === null ? UNKNOWN : formatValue(row.memory, "bytes")}</td>
              <td>{row.startedAt === null ? UNKNOWN : <Time at={row.startedAt}>{timeOrDate(row.startedAt, dayStart.value)}</Time>}</td>
              <td class="num">{row.restarts ?? UNKNOWN}</td>
              <td class="num">{row.oomKills ?? UNKNOWN}</td>
              <td>{row.engine}</td>
              <td title={row.image ?? undefined}>{row.image ?? UNKNOWN}</td>
              {acts && (
                <td>
                  {isRestartable(row) && (
                    <Button slim more={{ title: row.name }} onClick={() => setAsked(row.name)}>
                      {restartPermission(view.policy, row.name).allowed ? t`Restart…` : t`Why not?`}
                    </Button>
                  )}
                </td>
              )}
            </tr>
          ))}
        </FactsTable>
      )}
      {asked !== null && <ConfirmRestart view={view} name={asked} onClose={() => setAsked(null)} />}
    </section>
  );
}

const markOf = (row: ContainerRow): GlyphKind => (isBad(row) ? "fail" : !isRunning(row) ? "ended" : row.oomKills ? "warn" : "ok");
