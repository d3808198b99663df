/** The containers of a node, as far as its cgroups and its engines tell. */

import type { VNode } from "preact";
import { formatValue } from "../../core/metrics/metric-list";
import { containerRows, isBad, isRunning, type ContainerRow } from "../../core/nodes/containers";
import { t } from "../../core/text/i18n";
import { timeOrDate } from "../../core/text/time";
import { count, plural, UNKNOWN } from "../../core/text/units";
import { dayStart } from "../../state/clock";
import type { NodeView, TableView } from "../../state/types";
import { Glyph, type GlyphKind } from "../../ui/glyph";
import { Time } from "../../ui/time";

export interface ContainersProps {
  view: NodeView;
  table: TableView;
}

/** Engines whose socket The agent reads, where it may. */
const SOCKETS = new Set(["docker", "podman"]);

export function Containers({ view, table }: ContainersProps): VNode {
  const rows = containerRows(table, view.latest);
  const unnamed = rows.some((row) => SOCKETS.has(row.engine) && row.image === null);
  return (
    <section class="card" aria-label={t`Containers`}>
      <header>
        <h3>{t`Containers`}</h3>
        <span class="t3 meta">
          {table.total !== null && table.total > rows.length ? t`${count(rows.length)} of ${count(table.total)}` : plural(rows.length, "container")}, <Time at={table.taken_at}>{timeOrDate(table.taken_at, dayStart.value)}</Time>
        </span>
      </header>
      {unnamed && (
        <p class="pad t3 meta">
          {t`Names, images and ended containers are known only where the agent’s user may open the socket of the engine (for Docker: a member of the group docker). Whoever may open it is as good as root on this server, so this is off until its owner allows it there. Restarts are counted since the agent first saw the container.`}
        </p>
      )}
      {table.total === null ? (
        <p class="pad t3">{t`The agent could not read this.`}</p>
      ) : !rows.length ? (
        <p class="pad t3">{t`None running.`}</p>
      ) : (
        <div class="facts-scroll" role="region" aria-label={t`Containers, table`} tabIndex={0}>
          <table class="facts-table">
            <thead>
              <tr>
                <th scope="col">{t`Container`}</th>
                <th scope="col">{t`State`}</th>
                <th scope="col" class="num">{t`CPU`}</th>
                <th scope="col" class="num">{t`Memory`}</th>
                <th scope="col">{t`Started`}</th>
                <th scope="col" class="num">{t`Restarts`}</th>
                <th scope="col" class="num">{t`Killed for memory`}</th>
                <th scope="col">{t`Engine`}</th>
                <th scope="col">{t`Image`}</th>
              </tr>
            </thead>
            <tbody>
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
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

const markOf = (row: ContainerRow): GlyphKind => (isBad(row) ? "fail" : !isRunning(row) ? "off" : row.oomKills ? "warn" : "ok");
