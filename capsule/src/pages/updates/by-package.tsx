import { computed } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { ineligibleReason } from "../../core/jobs/eligibility";
import type { Page } from "../../core/live/paged-list";
import { RefetchSchedule } from "../../core/live/refetch-schedule";
import { age, count, plural, pluralWord, t } from "../../core/text";
import { newestFirst } from "../../core/text/versions";
import { now } from "../../state/clock";
import { showDialog } from "../../state/dialogs";
import { nodeSignal, rows } from "../../state/fleet";
import { nodeLabel } from "../../state/node-label";
import { mayAct } from "../../state/session";
import type { NodeUpdatesView, NodeUpdateView, PackageUpdatesView, PackageUpdateView } from "../../state/types";
import { loadNodesOf, loadUpdates } from "../../state/updates";
import { Button, Empty, Failure, Icon, Loading } from "../../ui";
import { GridHead, Cell } from "../../ui/grid-head";
import { StaleNotice } from "../../ui/stale-notice";
import { ShowMore } from "../../ui/show-more";
import { usePaged } from "../use-paged";

const SETTLE_MS = 250;
const VERSIONS = 2;
const NAMES = 100;

/** A text that changes when a node reports other counts of updates. The lists of packages are not live, so they are read again then. */
const updateCounts = computed(() =>
  rows.value.map(({ node: { id, updates } }) => `${id} ${updates.total} ${updates.security} ${updates.checked_at}`).join(),
);

/** Loads a list now, and again when nodes report other counts of updates. */
function useReload(list: { refresh: () => Promise<void> }): void {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const schedule = new RefetchSchedule(performance.now());
    const plan = (): void => {
      clearTimeout(timer);
      if (schedule.next < Infinity) timer = setTimeout(read, schedule.next - performance.now());
    };
    const read = (): void => {
      schedule.read(performance.now());
      void list.refresh();
      plan();
    };
    void list.refresh();
    let before = updateCounts.peek();
    const end = updateCounts.subscribe((now) => {
      if (now !== before) schedule.noteChange(performance.now());
      before = now;
      plan();
    });
    return () => {
      end();
      clearTimeout(timer);
    };
  }, [list]);
}

type Found = PackageUpdatesView & Page<PackageUpdateView>;

export function ByPackage({ search, security, old }: { search: string; security: boolean; old: boolean }) {
  const [open, setOpen] = useState<string | null>(null);
  // The search starts when typing pauses. Until then the last answer stays.
  const [words, setWords] = useState(search.trim());
  useEffect(() => {
    const timer = setTimeout(() => setWords(search.trim()), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [search]);
  const { list, found, failure } = usePaged<PackageUpdateView, Found>(
    async (cursor) => {
      const page = await loadUpdates(words, security, cursor);
      return { ...page, items: page.packages };
    },
    (one) => one.package,
    [words, security],
  );
  const load = (): void => void list.refresh();
  useReload(list);
  if (failure && !found) return <Failure title={t`The updates could not be read`} error={failure} onRetry={load} />;
  if (!found) return <Loading rows={10} what={t`the updates`} onRetry={load} />;
  return (
    <>
      <StaleNotice failure={failure} onRetry={load} />
      {!found.items.length ? (
        words || security ? (
          <Empty
            icon="filter"
            title={t`No package matches`}
            text={
              security && !words
                ? t`No security updates are waiting.`
                : security
                  ? t`No waiting security update has “${words}” in its name.`
                  : t`No waiting update has “${words}” in its name.`
            }
          />
        ) : found.told ? (
          <Empty
            icon="package"
            title={old ? t`Nothing newer is known` : t`Everything is up to date`}
            text={t`${plural(found.told, "node")} reported nothing newer.`}
          />
        ) : (
          <Empty
            icon="package"
            title={t`No updates reported yet`}
            text={t`Each node reports its available updates when it connects, every hour and after each job.`}
          />
        )
      ) : (
        <div class="card grid-table updates-table" role="table" aria-label={t`Packages`} aria-rowcount={found.total + 1}>
          <GridHead labels={[t`Package`, t`To`, t`Nodes`]} right={[t`Nodes`]} />
          {found.items.map((one, index) => (
            <Line
              key={one.package}
              one={one}
              index={index}
              open={open === one.package}
              onOpen={() => setOpen(open === one.package ? null : one.package)}
            />
          ))}
        </div>
      )}
      <p class="t3 meta">
        {t`${plural(found.total, "package")}, ${count(found.security)} for security.`}{" "}
        {found.oldest_at === null
          ? t`Reported by ${plural(found.told, "node")}.`
          : t`Reported by ${plural(found.told, "node")}, the oldest list ${age(now.value - found.oldest_at)} ago.`}
        {found.silent > 0 && ` ${t`Not known for ${plural(found.silent, "node")}.`}`}
        {found.cut > 0 && ` ${t`${plural(found.cut, "node")} ${pluralWord(found.cut, "has", "have")} more updates than the list holds.`}`}
      </p>
      <ShowMore more={found.next !== null} onMore={() => void list.more()}>{t`Show more of ${count(found.total)}`}</ShowMore>
    </>
  );
}

function Line({ one, index, open, onOpen }: { one: PackageUpdateView; index: number; open: boolean; onOpen: () => void }) {
  const versions = newestFirst(one.candidates.map(({ version }) => version));
  const more = versions.length - VERSIONS;
  return (
    <>
      <div
        role="row"
        aria-rowindex={index + 2}
        tabIndex={0}
        onClick={onOpen}
        onKeyDown={(event) => event.key === "Enter" && event.target === event.currentTarget && onOpen()}
      >
        <Cell head class="row">
          <button type="button" class="fold row" tabIndex={-1} aria-expanded={open}>
            <Icon name="chevron-down" size="small" />
            <span class="mono medium cut">{one.package}</span>
          </button>
          {one.security === "yes" && (
            <span class="pill warn small">
              <Icon name="shield" size="tiny" />
              {one.security_nodes}
              <span class="hidden-text"> {t`for security`}</span>
            </span>
          )}
        </Cell>
        <Cell class="mono t2 cut" title={one.candidates.map(({ version, nodes }) => t`${version} on ${nodes}`).join(", ")}>
          {versions.slice(0, VERSIONS).join(", ")}
          {more > 0 && ` ${t`and ${more} more`}`}
        </Cell>
        <Cell class="right num">{one.nodes}</Cell>
      </div>
      {open && <NodesOf name={one.package} />}
    </>
  );
}

/** The nodes with an update of one package. Nodes that cannot install it now show the reason. */
function NodesOf({ name }: { name: string }) {
  const { list, found, failure } = usePaged<NodeUpdateView, NodeUpdatesView & Page<NodeUpdateView>>(
    async (cursor) => {
      const page = await loadNodesOf(name, cursor);
      return { ...page, items: page.nodes };
    },
    (one) => one.node_id,
    [name],
  );
  const load = (): void => void list.refresh();
  useReload(list);
  const whyNot = (one: NodeUpdateView): string => {
    const view = nodeSignal(one.node_id)?.value;
    return !view ? t`gone` : one.held ? t`held on the server` : ineligibleReason(view, "upgrade");
  };
  const able = found?.items.filter((one) => !whyNot(one)) ?? [];
  return (
    <div role="row" class="opened">
      <div role="cell" class="stack">
        {failure && (
          <p class="crit row" role="alert">
            {failure.detail}{" "}
            <Button slim onClick={load}>
              {t`Try again`}
            </Button>
          </p>
        )}
        {!found && !failure && <p class="t3">…</p>}
        {found && (
          <>
            <ul class="node-chips">
              {found.items.slice(0, NAMES).map((one) => {
                const why = whyNot(one);
                return (
                  <li key={one.node_id} title={why || undefined} class={why ? "t3" : ""}>
                    <a href={`/n/${one.node_id}`}>{nodeLabel(one.node_id)}</a>{" "}
                    <span class="mono t3">
                      {one.from || "?"} → {one.to || "?"}
                    </span>
                    {why && <span class="t3"> · {why}</span>}
                  </li>
                );
              })}
            </ul>
            {found.items.length > NAMES && <p class="t3">{t`${count(found.total - NAMES)} more nodes.`}</p>}
            {found.next && <p class="t3">{t`${count(found.items.length)} of ${count(found.total)} nodes loaded.`}</p>}
            <ShowMore more={found.next !== null} onMore={() => void list.more()}>{t`Load more`}</ShowMore>
            {mayAct.value && (
              <div class="row">
                <Button
                  slim
                  kind="primary"
                  disabled={!able.length}
                  onClick={() =>
                    showDialog({ kind: "bulk-job", nodes: able.map(({ node_id }) => node_id), action: "upgrade", packages: [name] })
                  }
                >
                  {able.length ? t`Upgrade it on ${able.length}…` : t`No node can install it now`}
                </Button>
              </div>
            )}
          </>
        )}
      </div>
    </div>
  );
}
