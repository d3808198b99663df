import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { moment } from "../../core/time";
import { hubNow } from "../../state/clock";
import { events, loadEvents } from "../../state/events";
import { nodeSignal } from "../../state/fleet";
import { ApiError, type EventView } from "../../state/types";
import { Button } from "../../ui/button";
import { Glyph } from "../../ui/glyph";
import { Empty, Failure, Loading, Time } from "../../ui/parts";

/** Events of the fleet or of one node: pages from the hub, with what comes live on top. */
export function EventList({ node }: { node?: string }): VNode {
  const [pages, setPages] = useState<readonly EventView[] | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const load = async (cursor?: string): Promise<void> => {
    try {
      const page = await loadEvents(node, cursor);
      setPages((before) => (cursor ? [...(before ?? []), ...page.events] : page.events));
      setNext(page.next);
      setFailure(null);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setFailure(error);
    }
  };
  useEffect(() => void load(), [node]);
  if (failure && !pages) return <Failure title="The events could not be read" error={failure} onRetry={() => void load()} />;
  if (!pages) return <Loading what="the events" onRetry={() => void load()} />;
  const known = new Set(pages.map((event) => event.id));
  const fresh = events.value.filter((event) => !known.has(event.id) && (!node || event.node_id === node) && event.at >= (pages[0]?.at ?? 0));
  const shown = [...fresh, ...pages];
  if (!shown.length) return <Empty icon="scroll-text" title="No events yet" text="What happens to nodes, jobs and deployments is noted here." />;
  return (
    <div class="stack">
      <div class="card grid-table events-table" role="table" aria-label="Events">
        <div role="row" class="head">
          {["Severity", "Event", "Node", "From", "At"].map((label) => (
            <span key={label} role="columnheader">
              {label === "Severity" ? <span class="hidden-text">Severity</span> : label}
            </span>
          ))}
        </div>
        {shown.map((event) => (
          <div role="row" key={event.id}>
            <span role="cell">
              <Glyph kind={event.severity === "error" ? "fail" : event.severity === "warning" ? "warn" : "done"} label={event.severity} />
            </span>
            <span role="cell">{event.message}</span>
            <span role="cell" class="cut t2">
              {event.node_id ? <a href={`/n/${event.node_id}`}>{nodeSignal(event.node_id)?.value.name ?? "removed node"}</a> : "—"}
            </span>
            <span role="cell" class="t3">
              {event.source}
            </span>
            <span role="cell" class="t3">
              <Time at={event.at}>{moment(event.at, hubNow())}</Time>
            </span>
          </div>
        ))}
      </div>
      {next && (
        <div>
          <Button onClick={() => void load(next)}>Show more</Button>
        </div>
      )}
    </div>
  );
}
