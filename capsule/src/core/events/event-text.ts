/** Texts, CSV file, search and filter of events. */

import { isWithin, type Span } from "../text/day-range";
import { csv } from "../text/csv";
import { iso, t } from "../text";
import { ACTION_LABELS, actionLabel, STATE_LABELS } from "../jobs/job-labels";
import { EVENT_GROUPS, EVENT_TYPES } from "./event-types.gen";
import type { EventView } from "../../wire/schema.gen";

type EventLike = Pick<EventView, "type" | "node_id" | "message" | "details"> & { source: string };

export type NameOf = (node: string) => string | undefined;

const DEPLOYMENTS: Readonly<Record<string, string>> = { install: t`Add server`, update: t`Update agent of`, remove: t`Remove server` };

/** The entry of a type in the hub's catalogue; undefined for a type of a newer hub. */
function entryOf(type: string): (typeof EVENT_TYPES)[string] | undefined {
  const name = type.replace(/^(expected_).+(_missed)$/, "$1<type>$2");
  return Object.hasOwn(EVENT_TYPES, name) ? EVENT_TYPES[name] : undefined;
}

/** The page's text of an event. The event's own message is shown for events of programs, unknown types, and events that lack a field. */
export function eventText({ type, source, node_id, message, details }: EventLike, nameOf: NameOf): string {
  const words = entryOf(type)?.[1];
  if (!words || source === "api") return message;
  let missing = false;
  const text = words((key) => {
    const value = details[key] ?? (key === "name" && node_id !== null ? nameOf(node_id) : undefined);
    if (value === undefined || value === null) missing = true;
    const label = key === "action" ? actionLabel(String(value)) : key === "kind" ? DEPLOYMENTS[String(value)] : undefined;
    return label ?? String(value);
  });
  return missing ? message : text;
}

type EventRow = EventLike & { at: number; severity: string };

/** The events as CSV with the page's texts. Other columns have the hub's names and values. */
export const eventsCsv = (events: readonly EventRow[], nameOf: NameOf): string =>
  csv([
    ["at", "severity", "type", "source", "node", "node_id", "message"],
    ...events.map((event) => [
      iso(event.at),
      event.severity,
      event.type,
      event.source,
      event.node_id === null ? "" : nameOf(event.node_id),
      event.node_id,
      eventText(event, nameOf),
    ]),
  ]);

/** The hub's name for a label; undefined = no label matches. `text`: the whole label, or at least its first two words, because many labels begin with the same word. */
function hubNameOf(text: string, words: Readonly<Record<string, string>>): string | undefined {
  const low = text.toLowerCase();
  return (
    Object.keys(words).find((key) => words[key]?.toLowerCase() === low) ??
    (low.includes(" ") ? Object.keys(words).find((key) => words[key]?.toLowerCase().startsWith(low)) : undefined)
  );
}

/** The search text for the hub: a label that the page shows, or at least its first two words, becomes the hub's name. */
export function eventSearch(text: string): string {
  const [, before = "", last = ""] = /^(.*: )?(.*)$/.exec(text) ?? [];
  const search = before + (hubNameOf(last, STATE_LABELS) ?? last);
  const low = search.toLowerCase();
  const verb = Object.keys(ACTION_LABELS).find((action) => `${low} `.startsWith(`${actionLabel(action).toLowerCase()} `));
  return verb ? verb + search.slice(actionLabel(verb).length) : (hubNameOf(search, ACTION_LABELS) ?? search);
}

/** The hub's severities. */
const SEVERITIES: readonly string[] = ["error", "warning", "info"];
/** The hub refuses longer search texts. */
export const MAX_SEARCH_LENGTH = 100;

/** Whether an event tells of the maintenance window that a job or deployment opened by itself, as each of them does. */
export const isOwnWindow = ({ type, details }: Pick<EventLike, "type" | "details">): boolean =>
  /^maintenance_(opened|closed)$/.test(type) && (details["origin"] === "job" || details["origin"] === "deployment");

interface EventsFilter {
  severity: string;
  type: string;
  group: string;
  search: string;
}

/** The filter in the address. Invalid values are ignored. */
export function parseEventQuery(get: (name: string) => string | null): EventsFilter {
  const type = get("type") ?? "";
  const group = get("group") ?? "";
  return {
    severity: (get("severity") ?? "")
      .split(",")
      .filter((one) => SEVERITIES.includes(one))
      .join(),
    type: entryOf(type) ? type : "",
    group: EVENT_GROUPS.some(({ key }) => key === group) ? group : "",
    search: (get("q") ?? "").trim().slice(0, MAX_SEARCH_LENGTH),
  };
}

/** Whether a live event matches the filter, by the rules of the hub. */
export const eventFits = (
  event: EventLike & { severity: string; at: number },
  { severity, type, group, search, ...span }: { [Key in keyof EventsFilter]?: string | undefined } & Span,
): boolean =>
  isWithin(event.at, span) &&
  (!severity || severity.split(",").includes(event.severity)) &&
  (!type || event.type === type) &&
  (!group || entryOf(event.type)?.[0] === group) &&
  (!search || event.message.toLowerCase().includes(search.toLowerCase()));

interface WithId {
  id: string;
}

/** The live events that are newer than the list `read`. Both lists begin with the newest event. */
export function newerEvents<E extends WithId>(live: readonly E[], read: readonly WithId[]): readonly E[] {
  const known = new Set(read.map(({ id }) => id));
  const end = live.findIndex(({ id }) => known.has(id));
  return end < 0 ? live : live.slice(0, end);
}
