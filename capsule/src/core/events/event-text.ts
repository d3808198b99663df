/** Texts of events, from their fields. */

import { isWithin, type Span } from "../text/day-range";
import { csv } from "../text/csv";
import { t } from "../text/i18n";
import { iso } from "../text/time";
import { ACTION_LABELS, actionLabel, STATE_LABELS } from "../jobs/job-labels";
import { EVENT_GROUPS, EVENT_TYPES } from "./event-types.gen";

interface EventLike {
  type: string;
  source: string;
  node_id: string | null;
  message: string;
  details: Readonly<Record<string, unknown>>;
}

export type NameOf = (node: string) => string | undefined;

const DEPLOYMENTS: Readonly<Record<string, string>> = { install: t`Add server`, update: t`Update agent of`, remove: t`Remove server` };

const known = (type: string): (typeof EVENT_TYPES)[string] | undefined => (Object.hasOwn(EVENT_TYPES, type) ? EVENT_TYPES[type] : undefined);
const groupOf = (type: string): string | undefined => known(type)?.[0] ?? (/^expected_.+_missed$/.test(type) ? "alert" : undefined);

/** An event in the page's words. Programs bring their own; the hub's are shown where a field is missing, and for types of a newer hub. */
export function eventText({ type, source, node_id, message, details }: EventLike, nameOf: NameOf): string {
  const words = known(type)?.[1];
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

interface EventRow extends EventLike {
  at: number;
  severity: string;
}

/** A file for people, with the page's texts. Fields for programs keep the hub's names. */
export const eventsCsv = (events: readonly EventRow[], nameOf: NameOf): string =>
  csv([["at", "severity", "type", "source", "node", "node_id", "message"], ...events.map((event) => [iso(event.at), event.severity, event.type, event.source, event.node_id === null ? "" : nameOf(event.node_id), event.node_id, eventText(event, nameOf)])]);

/** The hub's name for a label that equals or begins with this text. A single word of several is ambiguous and finds none. */
function hubNameOf(text: string, words: Readonly<Record<string, string>>): string | undefined {
  const low = text.toLowerCase();
  return Object.keys(words).find((key) => words[key]?.toLowerCase() === low) ?? (low.includes(" ") ? Object.keys(words).find((key) => words[key]?.toLowerCase().startsWith(low)) : undefined);
}

/** A search for a shown label, even half typed, becomes a search for the hub's name. */
export function eventSearch(text: string): string {
  const [, before = "", last = ""] = /^(.*: )?(.*)$/.exec(text) ?? [];
  const noted = before + (hubNameOf(last, STATE_LABELS) ?? last);
  const low = noted.toLowerCase();
  const verb = Object.keys(ACTION_LABELS).find((action) => `${low} `.startsWith(`${actionLabel(action).toLowerCase()} `));
  return verb ? verb + noted.slice(actionLabel(verb).length) : (hubNameOf(noted, ACTION_LABELS) ?? noted);
}

/** The hub's severities. */
const SEVERITIES: readonly string[] = ["error", "warning", "info"];
/** The hub refuses longer search texts. */
export const MAX_SEARCH_LENGTH = 100;

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
    severity: (get("severity") ?? "").split(",").filter((one) => SEVERITIES.includes(one)).join(),
    type: groupOf(type) ? type : "",
    group: EVENT_GROUPS.some(({ key }) => key === group) ? group : "",
    search: (get("q") ?? "").trim().slice(0, MAX_SEARCH_LENGTH),
  };
}

/** Whether a live event is one that the hub would list. */
export const eventFits = (event: EventLike & { severity: string; at: number }, { severity, type, group, search, ...span }: { [Key in keyof EventsFilter]?: string | undefined } & Span): boolean =>
  isWithin(event.at, span) &&
  (!severity || severity.split(",").includes(event.severity)) &&
  (!type || event.type === type) &&
  (!group || groupOf(event.type) === group) &&
  (!search || event.message.toLowerCase().includes(search.toLowerCase()));

interface Known {
  id: string;
}

/** The live events that are newer than a list that was read; both begin with the newest. Older ones belong to pages that are not loaded yet. */
export function newerEvents<E extends Known>(live: readonly E[], read: readonly Known[]): readonly E[] {
  const known = new Set(read.map(({ id }) => id));
  const end = live.findIndex(({ id }) => known.has(id));
  return end < 0 ? live : live.slice(0, end);
}
