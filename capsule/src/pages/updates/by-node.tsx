import { ineligibleReason } from "../../core/jobs/eligibility";
import { listSome } from "../../core/jobs/batch";
import { nameCollator } from "../../core/nodes/node-groups";
import { age, plural, t } from "../../core/text";
import { now } from "../../state/clock";
import { showDialog } from "../../state/dialogs";
import { loaded, rows, type Row } from "../../state/fleet";
import { go } from "../../state/router";
import { mayAct } from "../../state/session";
import { Button, Empty, Glyph, Loading, VirtualList } from "../../ui";
import { GridHead, Cell } from "../../ui/grid-head";
import { rowOpening } from "../../ui/row-opening";
import { SecurityPill } from "../fleet/cells";

/** The nodes with updates, or with security updates, that match a search. */
export function matchingRows(all: readonly Row[], search: string, security: boolean): Row[] {
  const word = search.trim().toLowerCase();
  return all.filter(
    ({ node }) =>
      (security ? node.updates.security : node.updates.total) &&
      [node.name, node.address, ...node.tags].some((text) => text.toLowerCase().includes(word)),
  );
}

export function ByNode({ search, security, old }: { search: string; security: boolean; old: boolean }) {
  if (!loaded.value) return <Loading rows={10} what={t`the fleet`} />;
  const action = security ? "security-upgrade" : "upgrade";
  const found = matchingRows(rows.value, search, security).sort(
    (a, b) =>
      (b.node.updates.security ?? 0) - (a.node.updates.security ?? 0) ||
      (b.node.updates.total ?? 0) - (a.node.updates.total ?? 0) ||
      nameCollator.compare(a.node.name, b.node.name),
  );
  const unknown = rows.value.filter(({ node }) => node.updates.total === null);
  if (!found.length)
    return search.trim() || security ? (
      <Empty
        icon="filter"
        title={t`No node matches`}
        text={security ? t`No matching node has security updates.` : t`No node with “${search.trim()}” has updates.`}
      />
    ) : (
      <Empty
        icon="package"
        title={old || unknown.length ? t`Nothing newer is known` : t`Everything is up to date`}
        text={unknown.length ? t`Not known for ${plural(unknown.length, "node")}.` : t`No node reported anything newer.`}
      />
    );
  const height = matchMedia("(pointer: coarse), (max-width: 760px)").matches ? 48 : 36;
  return (
    <>
      <div class="card grid-table updates-table nodes" role="table" aria-label={t`Nodes with updates`} aria-rowcount={found.length + 1}>
        <GridHead labels={[t`Node`, t`Updates`, t`Checked`, t`Action`]} unseen={[t`Action`]} right={[t`Updates`]} />
        <VirtualList
          count={found.length}
          height={height}
          row={(index) => {
            const row = found[index];
            if (!row) return null;
            const { node, health } = row;
            const why = ineligibleReason(node, action);
            return (
              <div role="row" key={node.id} aria-rowindex={index + 2} {...rowOpening(() => go(`/n/${node.id}/packages`))}>
                <Cell head class="row">
                  <Glyph kind={health} />
                  <a class="medium cut" href={`/n/${node.id}/packages`} tabIndex={-1}>
                    {node.name}
                  </a>
                  {why && <span class="t3 cut">{why}</span>}
                  {node.reboot_required === "yes" && <span class="pill small">{t`reboot due`}</span>}
                </Cell>
                <Cell class="row right num">
                  <SecurityPill count={node.updates.security} />
                  {node.updates.total}
                </Cell>
                <Cell class="t3 cut">{node.updates.checked_at ? t`${age(now.value - node.updates.checked_at)} ago` : t`never`}</Cell>
                <Cell class="right">
                  {mayAct.value && !why && (
                    <Button slim onClick={() => showDialog({ kind: "job", node: node.id, action })}>
                      {t`Upgrade…`}
                    </Button>
                  )}
                </Cell>
              </div>
            );
          }}
        />
      </div>
      {unknown.length > 0 && (
        <p class="t3 meta">{t`Not known for ${plural(unknown.length, "node")}: ${listSome(
          unknown.map(({ node }) => node.name),
          5,
        )}.`}</p>
      )}
    </>
  );
}
