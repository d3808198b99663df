import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import { eventFits, newerEvents, eventSearch, eventText } from "../../core/events/event-text";
import type { Page } from "../../core/live/paged-list";
import { t } from "../../core/text/i18n";
import { timeOrDate } from "../../core/text/time";
import { dayStart } from "../../state/clock";
import { events } from "../../state/events";
import { findEvents, type EventsQuery } from "../../state/queries";
import { nodeName } from "../../state/fleet";
import { nodeLabel } from "../../state/node-label";
import type { EventView } from "../../state/types";
import { Button } from "../../ui/button";
import { Glyph } from "../../ui/glyph";
import { GridHead } from "../../ui/grid-head";
import { Empty, Failure, Loading } from "../../ui/load-states";
import { StaleNotice } from "../../ui/stale-notice";
import { ShowMore } from "../../ui/show-more";
import { Time } from "../../ui/time";
import { usePaged } from "../use-paged";

interface Props {
  node?: string;
  /** The filter, applied by the hub. */
  only?: EventsQuery;
  onClear?: () => void;
}

/** Events of the fleet or of one node: pages from the hub, with live ones on top. */
export function EventList({ node, only = {}, onClear }: Props): VNode {
  const asked = { ...only, node, search: only.search && eventSearch(only.search) };
  const { list, found, failure } = usePaged<EventView, Page<EventView>>(
    async (cursor) => {
      const page = await findEvents(asked, cursor);
      return { items: page.events, next: page.next };
    },
    (event) => event.id,
    [JSON.stringify(asked)],
  );
  const load = (): void => void list.refresh();
  useEffect(load, [list]);
  if (failure && !found) return <Failure title={t`The events could not be read`} error={failure} onRetry={load} />;
  if (!found) return <Loading what={t`the events`} onRetry={load} />;
  const pages = found.items;
  const fresh = newerEvents(events.value, pages).filter((event) => (!node || event.node_id === node) && eventFits(event, asked));
  const shown = [...fresh, ...pages];
  if (!shown.length) {
    return Object.values(only).some(Boolean) ? (
      <Empty icon="filter" title={t`No event matches`} text={t`There are none of this kind.`}>
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
        {shown.map((event) => (
          <div role="row" key={event.id}>
            <span role="cell">
              <Glyph kind={event.severity === "error" ? "fail" : event.severity === "warning" ? "warn" : "done"} label={event.severity} />
            </span>
            <span role="cell">
              {eventText(event, nodeName)}
              {event.count > 1 && <span class="t3"> ×{event.count}</span>}
            </span>
            <span role="cell" class="cut t2">
              {event.node_id ? <a href={`/n/${event.node_id}`}>{nodeLabel(event.node_id)}</a> : "—"}
            </span>
            <span role="cell" class="t3">
              {event.source}
            </span>
            <span role="cell" class="t3">
              <Time at={event.at}>{timeOrDate(event.at, dayStart.value)}</Time>
            </span>
          </div>
        ))}
      </div>
      <ShowMore more={found.next !== null} onMore={() => void list.more()} />
    </div>
  );
}
