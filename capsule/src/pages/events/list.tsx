import { useEffect, useRef, useState } from "preact/hooks";
import { eventFits, isOwnWindow, newerEvents, eventSearch, eventText } from "../../core/events/event-text";
import { byDay, foldEvents, isOrder, latestOfNodes, orderFromEvents, orderOf, type Orders } from "../../core/events/fold-events";
import { orderSeverity, orderSize, orderText, orderUrl } from "../../core/events/orders";
import { listSome } from "../../core/jobs/batch";
import type { Page } from "../../core/live/paged-list";
import { clock, date, sameDay, t, timeOrDate } from "../../core/text";
import { dayStart } from "../../state/clock";
import { events } from "../../state/events";
import { findEvents, type EventsQuery } from "../../state/queries";
import { nodeName } from "../../state/fleet";
import { nodeLabel } from "../../state/node-label";
import type { EventView, OrderView } from "../../state/types";
import { Button, Empty, Failure, Glyph, type GlyphKind, Icon, Loading } from "../../ui";
import { GridHead, Cell } from "../../ui/grid-head";
import { StaleNotice } from "../../ui/stale-notice";
import { ShowMore } from "../../ui/show-more";
import { Time } from "../../ui/time";
import { usePaged } from "../use-paged";

const HALF_DAY_S = 43_200;
/** How long the list waits after a live event of an order, before it asks the hub how far that order is. */
const RECOUNT_MS = 1000;

/** With fewer rows, the list reads on by itself, up to so many events. */
const FEW_ROWS = 10;
const MOST_READ = 500;

interface Props {
  node?: string;
  /** The filter, applied by the hub. */
  only?: EventsQuery;
  onClear?: () => void;
  /** Leaves out the maintenance windows that jobs and deployments opened by themselves. */
  withoutOwnWindows?: boolean;
}

/** Events of the fleet or of one node: pages from the hub, and live events above them. */
export function EventList({ node, only = {}, onClear, withoutOwnWindows = true }: Props) {
  const query = { ...only, node, search: only.search && eventSearch(only.search) };
  const counted = useRef(new Map<string, OrderView>());
  const { list, found, failure } = usePaged<EventView, Page<EventView>>(
    async (cursor) => {
      const page = await findEvents(query, cursor);
      for (const order of page.orders) counted.current.set(order.id, order);
      return { items: page.events, next: page.next };
    },
    (event) => event.id,
    [JSON.stringify(query)],
  );
  const load = (): void => void list.refresh();
  useEffect(load, [list]);
  const pages = found?.items ?? [];
  const fresh = found
    ? newerEvents(events.value, pages).filter((event) => (!node || event.node_id === node) && eventFits(event, query))
    : [];
  // The hub counts an order as a whole, of which some events may be on later pages. So a live event of an order makes the list ask again.
  const uncounted = node ? "" : (fresh.find((event) => orderOf(event))?.id ?? "");
  useEffect(() => {
    const later = uncounted ? setTimeout(load, RECOUNT_MS) : undefined;
    return () => clearTimeout(later);
  }, [uncounted]);
  const orders: Orders = node ? new Map() : counted.current;
  const all = [...fresh, ...pages];
  const shown = withoutOwnWindows ? all.filter((event) => !isOwnWindow(event)) : all;
  const folded = foldEvents(shown, orders);
  // One order can fill a page of events, and is one row.
  const reads = found?.next != null && folded.length < FEW_ROWS && pages.length < MOST_READ ? pages.length : 0;
  useEffect(() => {
    if (reads) void list.more();
  }, [reads]);
  if (failure && !found) return <Failure title={t`The events could not be read`} error={failure} onRetry={load} />;
  if (!found) return <Loading what={t`the events`} onRetry={load} />;
  if (!shown.length && found.next === null) {
    return all.length || Object.values(only).some(Boolean) ? (
      <Empty
        icon="filter"
        title={t`No event matches`}
        text={
          all.length
            ? t`Only maintenance of jobs does, which “Maintenance of jobs” on the page of all events shows.`
            : t`There are none of this kind.`
        }
      >
        {onClear && <Button onClick={onClear}>{t`Show all events`}</Button>}
      </Empty>
    ) : (
      <Empty icon="scroll-text" title={t`No events yet`} text={t`What happens to nodes, jobs and deployments is listed here.`} />
    );
  }
  return (
    <div class="stack">
      <StaleNotice failure={failure} onRetry={load} />
      <div class="card grid-table events-table" role="table" aria-label={t`Events`}>
        <GridHead labels={[t`Severity`, t`Event`, t`Node`, t`From`, t`Time`]} unseen={[t`Severity`]} />
        {byDay(folded, startOfDay).map(({ day, runs }) => (
          <div role="rowgroup" key={day} aria-label={dayLabel(day)} data-day={dayLabel(day)}>
            {/* The key of a run is its order or its oldest event, so that a new event does not close an open run. */}
            {runs.map((run) =>
              run.length > 1 || isOrder(run, orders) ? (
                <Run key={(run[0] && orderOf(run[0])) || run.at(-1)?.id} run={run} orders={orders} />
              ) : (
                run.map((event) => <Row key={event.id} event={event} />)
              ),
            )}
          </div>
        ))}
      </div>
      <ShowMore more={found.next !== null} onMore={() => void list.more()} />
    </div>
  );
}

const startOfDay = (at: number): number => new Date(at * 1000).setHours(0, 0, 0, 0) / 1000;
const dayLabel = (at: number): string =>
  sameDay(at, dayStart.value) ? t`Today` : sameDay(at, dayStart.value - HALF_DAY_S) ? t`Yesterday` : date(at, dayStart.value);

const GLYPHS: Readonly<Record<string, GlyphKind>> = { error: "fail", warning: "warn" };

function Row({ event }: { event: EventView }) {
  return (
    <div role="row">
      <Cell>
        <Glyph kind={GLYPHS[event.severity] ?? "done"} label={event.severity} />
      </Cell>
      <Cell>
        {eventText(event, nodeName)}
        {event.count > 1 && <span class="t3"> ×{event.count}</span>}
      </Cell>
      <Cell class="cut t2">{event.node_id ? <a href={`/n/${event.node_id}`}>{nodeLabel(event.node_id)}</a> : "—"}</Cell>
      <Cell class="t3">{event.source}</Cell>
      <Cell class="t3">
        <Time at={event.at}>{timeOrDate(event.at, dayStart.value)}</Time>
      </Cell>
    </div>
  );
}

function runText(event: EventView, nodes: number): string {
  const { type, details } = event;
  if (type === "node_offline") return t`${nodes} nodes went offline`;
  if (type === "node_online") return t`${nodes} nodes came online`;
  if (details["rule"] !== undefined) return [t`${String(details["rule"])} on ${nodes} nodes`, details["end"]].filter(Boolean).join(" ");
  return t`${eventText(event, nodeName)}, and ${nodes - 1} nodes more`;
}

/** The same event on many nodes in one row, which opens. */
function Run({ run, orders }: { run: readonly EventView[]; orders: Orders }) {
  const [open, setOpen] = useState(false);
  const [newest] = run;
  const oldest = run.at(-1);
  if (!newest || !oldest) return null;
  const names = latestOfNodes(run).map(({ node_id, details }) => (node_id ? nodeLabel(node_id) : String(details["name"] ?? "—")));
  const order = isOrder(run, orders) ? (orders.get(orderOf(newest)) ?? orderFromEvents(run)) : null;
  const severity = order ? orderSeverity(order) : newest.severity;
  const span = [Math.min(newest.at, oldest.at), Math.max(newest.at, oldest.at)] as const;
  const [from, to] = span.map((at) => clock(at, false));
  return (
    <>
      <div role="row">
        <Cell>
          <Glyph kind={GLYPHS[severity] ?? "done"} label={severity} />
        </Cell>
        <Cell>
          <button type="button" class="fold" aria-expanded={open} onClick={() => setOpen(!open)}>
            <Icon name="chevron-down" size="small" />
            {order ? orderText(order) : runText(newest, run.length)}
          </button>{" "}
          {order && (
            <a class="accent" href={orderUrl(order)}>
              {t`Open`}
            </a>
          )}
        </Cell>
        <Cell class="cut t2">{listSome(names, 3, order ? orderSize(order) : names.length)}</Cell>
        <Cell class="t3">{newest.source}</Cell>
        <Cell class="t3">
          <Time at={span[0]}>{from === to ? timeOrDate(span[0], dayStart.value) : `${from}–${to}`}</Time>
        </Cell>
      </div>
      {open && run.map((event) => <Row key={event.id} event={event} />)}
    </>
  );
}
