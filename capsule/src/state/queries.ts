/** Lists that the hub filters and sends page by page: jobs, deployments, events, log lines of a node; and the processes and journals of a node. */

import { call } from "../wire/http";
import type { EventsView, EventView, UnitJournalView } from "../wire/schema.gen";

export interface JobsQuery {
  node?: string | undefined;
  state?: string | undefined;
  action?: string | undefined;
  by?: string | undefined;
  search?: string | undefined;
  plans?: "false" | undefined;
  folded?: "true" | "false";
}

export interface EventsQuery {
  node?: string | undefined;
  severity?: string | undefined;
  type?: string | undefined;
  group?: string | undefined;
  search?: string | undefined;
  /** The earliest time in Unix seconds. */
  from?: number | undefined;
  /** The end in Unix seconds, which is not included. */
  to?: number | undefined;
}

const PAGE = 50;
const EXPORT_PAGE = 500;
/** The maximum of events in one file. */
const MAX_EXPORTED = 20_000;

export const findJobs = (query: JobsQuery, cursor?: string) => call("GET", "jobs", { query: { limit: PAGE, cursor, ...query } });
export const findDeployments = (cursor?: string) => call("GET", "deployments", { query: { limit: PAGE, cursor } });
export const findEvents = (query: EventsQuery, cursor?: string) => call("GET", "events", { query: { limit: PAGE, cursor, ...query } });

/** All events, newest first, up to the maximum of one file. `whole` = there are no others. */
export async function allEvents(query: EventsQuery): Promise<{ events: EventView[]; whole: boolean }> {
  const events: EventView[] = [];
  let cursor: string | undefined;
  do {
    const page: EventsView = await call("GET", "events", { query: { limit: EXPORT_PAGE, cursor, ...query } });
    events.push(...page.events);
    cursor = page.next ?? undefined;
  } while (cursor && events.length < MAX_EXPORTED);
  return { events, whole: !cursor };
}

export type JournalLevel = UnitJournalView["level"];

/** The last lines of a unit's journal, read on the node. */
export const readUnitJournal = (nodeId: string, unit: string, level: JournalLevel) =>
  call("POST", `nodes/${nodeId}/journal`, { body: { unit, level } });

/** The top processes at or before a time, in Unix seconds. */
export const loadPastProcesses = (nodeId: string, at: number) => call("GET", `nodes/${nodeId}/processes`, { query: { at } });

/** The changes of a node of the last day; with `at` (Unix seconds), those of the ten minutes before, ranked. */
export const loadChanges = (nodeId: string, query: { at: number | null; metric: string; kind: string }) =>
  call("GET", `nodes/${nodeId}/changes`, {
    query: { at: query.at ?? undefined, metric: query.metric || undefined, kind: query.kind || undefined },
  });

export const loadLogs = (nodeId: string, cursor?: string) => call("GET", `nodes/${nodeId}/logs`, { query: { limit: 200, cursor } });
/** The ordered reboots of a node, newest first, with their evidence. */
export const loadReboots = (node: string) => call("GET", `nodes/${node}/reboots`);
