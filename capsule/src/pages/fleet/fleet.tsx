import { effect } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { tokensOf, withState } from "../../core/nodes/filter";
import {
  parseClosed,
  closedQuery,
  groupNodes,
  GROUPINGS,
  keepOrder,
  tableLines,
  type NodeGroup,
  type Grouping,
} from "../../core/nodes/node-groups";
import { t } from "../../core/text";
import { GROUPING_LABELS, NODE_STATE_LABELS } from "../../core/jobs/job-labels";
import { now } from "../../state/clock";
import { showDialog } from "../../state/dialogs";
import { ids, loaded, rows, anyAwaitsApproval } from "../../state/fleet";
import { lostSince, tryNow } from "../../state/live/link";
import { followNextPatches, nextPatches } from "../../state/next-patch";
import { preferences } from "../../state/preferences";
import { pageUrl, setQuery } from "../../state/router";
import { picked } from "../../state/selection";
import { mayAct } from "../../state/session";
import { Button, Empty, Icon, lazy, Loading, MenuButton, SearchField, Segmented } from "../../ui";
import { useIsPhone } from "../../ui/use-is-phone";
import { Attention } from "./attention";
import { NodeCards } from "./cards";
import { GroupMenu } from "./group-menu";
import { groupName } from "./group-name";
import { type SortKey, groupable, needsPatches, parseFilter, parseSort, sortFilter } from "./sort-filter";
import { NodeTable } from "./table";
import { FleetSummaryStrip } from "./fleet-summary";

const REORDER_MS = 5000;
const FilterFault = lazy(
  "",
  async () => {
    const { filterError } = await import("../../core/nodes/filter-error");
    return ({ token }: { token: string }) => <>{filterError(token)}</>;
  },
  ({ token }: { token: string }) => <>{token}</>,
);
const FirstRun = lazy(t`the fleet`, async () => (await import("./first-run")).FirstRun);
const CardGroup = lazy(
  t`the groups`,
  async () => (await import("./group-header")).CardGroup,
  () => <h2 class="group-head" />,
);
const SortMenu = lazy(
  t`the sort order`,
  async () => (await import("./sort-menu")).SortMenu,
  () => null,
);
const PendingApproval = lazy(t`the waiting nodes`, async () => (await import("./pending-approval")).PendingApproval);
const SelectionBar = lazy(t`the selection`, async () => (await import("../bulk/selection-bar")).SelectionBar);

export function FleetPage() {
  if (!loaded.value) {
    return (
      <div class="page">
        <h1 class="hidden-text" tabIndex={-1}>
          {t`Fleet`}
        </h1>
        <Loading rows={10} what={t`the fleet`} onRetry={tryNow} above="vitals-skeleton" />
      </div>
    );
  }
  return (
    <div class={lostSince.value === null ? "page" : "page dimmed"}>
      <h1 class="hidden-text" tabIndex={-1}>
        {t`Fleet`}
      </h1>
      {ids.value.length === 0 ? (
        <FirstRun />
      ) : (
        <>
          <FleetSummaryStrip />
          <Attention />
          {mayAct.value && anyAwaitsApproval.value && <PendingApproval />}
          <Nodes />
        </>
      )}
    </div>
  );
}

interface Sorted {
  groups: readonly NodeGroup[];
  /** The filter and order of the result. */
  query: string;
  /** The ids of all nodes when they were sorted. */
  members: readonly string[];
  /** When the nodes were sorted, in Unix milliseconds; 0 = sort them again. */
  at: number;
  /** Whether the order is out of date, because the pointer or the focus is on the rows. */
  late: boolean;
}

const rowFocused = (): boolean => document.activeElement?.closest(".fleet [role=row]:not(.head), .cards li") != null;

/** The sorted groups. They are sorted again at most every five seconds, and not while the pointer is over the rows or a row has the focus. Call `touch` when the pointer enters or leaves the rows, and `apply` to sort now. */
function useOrder(
  text: string,
  key: SortKey,
  down: boolean,
  by: Grouping | null,
): { groups: readonly NodeGroup[]; pending: boolean; touch: (on: boolean, finger?: boolean) => void; apply: () => void } {
  const touched = useRef(false);
  const lifted = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const began = useRef(Date.now());
  const sorted = useRef<Sorted>({ groups: [], query: "", members: [], at: 0, late: false });
  const [, redraw] = useState(0);
  // When the next patches arrive, they may change what a filter matches.
  const query = `${text}|${key}|${down}|${by}|${nextPatches.value === null}`;
  const members = ids.value;
  const { current } = sorted;
  const due = (): boolean => Date.now() - sorted.current.at >= REORDER_MS;
  // New values redraw only their rows, so the order is checked at intervals.
  useEffect(
    () =>
      effect(() => {
        void now.value;
        if (due()) redraw((n) => n + 1);
      }),
    [],
  );
  const fresh = current.query !== query;
  if (fresh || current.members !== members || due()) {
    const found = sortFilter(rows.peek(), parseFilter(text), key, down);
    const wanted = by ? groupNodes(found.map(groupable), by) : [{ key: "", ids: found.map((row) => row.node.id) }];
    const moved = JSON.stringify(wanted) !== JSON.stringify(current.groups);
    const frozen = !fresh && moved && (touched.current || rowFocused());
    const stay =
      current.members === members
        ? current.groups
        : wanted.map((group) => ({
            key: group.key,
            ids: keepOrder(current.groups.find((one) => one.key === group.key)?.ids ?? [], group.ids),
          }));
    const at = Date.now();
    // The first values may be old. Then the nodes are sorted again as soon as current values arrive.
    const early =
      at - began.current < REORDER_MS && found.some(({ health, status }) => health === "stale" || (health === "ok" && status.at === null));
    sorted.current = { groups: frozen ? stay : moved ? wanted : current.groups, query, members, at: early ? 0 : at, late: frozen };
  }
  return {
    groups: sorted.current.groups,
    pending: sorted.current.late,
    touch: (on, finger = false) => {
      touched.current = on;
      clearTimeout(lifted.current);
      // A lifted finger sends no event that ends the touch, so a timer ends it.
      if (finger) lifted.current = setTimeout(() => (touched.current = false), 2 * REORDER_MS);
    },
    apply: () => {
      touched.current = false;
      sorted.current = { ...sorted.current, query: "" };
      redraw((n) => n + 1);
    },
  };
}

const groupingOf = (text: string | null): Grouping | null => GROUPINGS.find((one) => one === text) ?? null;

function Nodes() {
  const phone = useIsPhone();
  const query = pageUrl.value.query;
  const text = query.get("q") ?? "";
  const view = query.get("view") === "cards" || phone ? "cards" : "table";
  const by = groupingOf(query.get("group"));
  const grouping = by ? (GROUPING_LABELS[by] ?? by) : t`none`;
  const { key, down } = parseSort(query.get("sort"));
  const patches = needsPatches(preferences.value.columns, query.get("sort"), text);
  useEffect(() => (patches ? followNextPatches() : undefined), [patches]);
  const { groups, pending, touch, apply } = useOrder(text, key, down, by);
  const { wrong } = parseFilter(text);
  const closed = parseClosed(query.get("closed"));
  const fold = (group: string): void => {
    const next = new Set(closed);
    if (!next.delete(group)) next.add(group);
    setQuery({ closed: closedQuery(next) });
  };
  /** The first press on a column sorts in its usual direction, the second in reverse, and the third by state again. */
  const sortBy = (next: SortKey): void => {
    const usual = next !== "name";
    const turned = next === key ? !down : usual;
    setQuery({ sort: next === key && turned === usual ? null : (turned ? "-" : "") + next });
  };
  const tokens = tokensOf(text);
  const has = (token: string): boolean => tokens.includes(token);
  const toggle = (token: string): void =>
    setQuery({ q: (has(token) ? tokens.filter((one) => one !== token) : [...tokens, token]).join(" ") });
  const setState = (state: string): void => setQuery({ q: withState(tokens, state).join(" ") });
  return (
    <>
      <div class="tools">
        <SearchField
          label={t`Filter nodes`}
          placeholder={t`Filter by name, tag, cpu>80…`}
          text={text}
          error={wrong && <FilterFault token={wrong} />}
          onText={(next) => setQuery({ q: next.trim() && next })}
          onLeave={() => document.querySelector<HTMLElement>(".fleet [role=row][tabindex='0'], .cards .node-card")?.focus()}
        />
        {mayAct.value && (
          <button
            type="button"
            class="button primary only-icon only-phone"
            aria-label={t`Add node`}
            onClick={() => showDialog({ kind: "add" })}
          >
            <Icon name="plus" />
          </button>
        )}
        <MenuButton
          label={t`State`}
          class="chip only-desk"
          groups={[
            [
              { label: t`Any state`, run: () => setState("") },
              ...Object.entries(NODE_STATE_LABELS).map(([state, word]) => ({
                label: word.charAt(0).toUpperCase() + word.slice(1),
                run: () => setState(state),
              })),
            ],
          ]}
        >
          <Icon name="filter" size="small" />
          {t`State`}
        </MenuButton>
        <button type="button" class="chip only-desk" aria-pressed={has("updates>0")} onClick={() => toggle("updates>0")}>
          <Icon name="package" size="small" />
          {t`Has updates`}
        </button>
        <span class="grow only-desk" />
        {view === "cards" && <SortMenu sort={key} down={down} />}
        <GroupMenu by={by} />
        {pending && (
          <Button slim icon="refresh-cw" onClick={apply}>
            {t`Re-sort`}
          </Button>
        )}
        {location.search.length > 1 && (
          <Button kind="quiet" class="only-desk" onClick={() => showDialog({ kind: "views" })}>
            {t`Save view…`}
          </Button>
        )}
        {view === "table" && (
          <Button kind="quiet" onClick={() => showDialog({ kind: "columns" })}>
            {t`Columns…`}
          </Button>
        )}
        <MenuButton
          label={t`Group: ${grouping}`}
          class="quiet only-desk"
          groups={[
            [
              { label: t`No groups`, run: () => setQuery({ group: null, closed: null }) },
              ...GROUPINGS.map((one) => ({
                label: t`Group by ${GROUPING_LABELS[one] ?? one}`,
                run: () => setQuery({ group: one, closed: null }),
              })),
            ],
          ]}
        >
          <Icon name="chevron-down" size="small" />
          {t`Group: ${grouping}`}
        </MenuButton>
        <div class="only-desk">
          <Segmented
            label={t`View`}
            value={view}
            onPick={(next) => setQuery({ view: next === "table" ? null : next })}
            options={[
              { key: "table", label: t`Table`, show: <Icon name="rows-3" size="small" /> },
              { key: "cards", label: t`Cards`, show: <Icon name="layout-grid" size="small" /> },
            ]}
          />
        </div>
      </div>
      {groups.every((group) => group.ids.length === 0) ? (
        <Empty
          icon="filter"
          title={t`No node matches “${text}”`}
          text={ids.value.length === 1 ? t`1 node is hidden by this filter.` : t`${ids.value.length} nodes are hidden by this filter.`}
        >
          <Button onClick={() => setQuery({ q: null })}>{t`Clear filter`}</Button>
        </Empty>
      ) : view === "cards" ? (
        groups.map((group) => (
          <section
            key={group.key}
            class="stack"
            aria-label={by ? groupName(group.key) : t`Nodes`}
            onMouseEnter={() => touch(true)}
            onMouseLeave={() => touch(false)}
            onTouchStart={() => touch(true, true)}
          >
            {by && <CardGroup group={group} closed={closed.has(group.key)} onFold={() => fold(group.key)} />}
            {!(by && closed.has(group.key)) && <NodeCards ids={group.ids} />}
          </section>
        ))
      ) : (
        <NodeTable
          lines={by ? tableLines(groups, closed) : (groups[0]?.ids ?? []).map((id) => ({ id }))}
          members={(group) => groups.find((one) => one.key === group)?.ids ?? []}
          sort={key}
          down={down}
          onSort={sortBy}
          onHover={touch}
          onFold={fold}
        />
      )}
      {mayAct.value && picked.value.size > 0 && <SelectionBar groups={groups} />}
    </>
  );
}
