/** Texts for events of jobs: the hub's message contains the API names of the action and the state. */

import { csv } from "../text/csv";
import { t } from "../text/i18n";
import { iso } from "../text/time";
import { ACTION_LABELS, actionLabel, STATE_LABELS, stateLabel } from "../jobs/job-labels";

interface EventLike {
  type: string;
  message: string;
  details: Readonly<Record<string, unknown>>;
}

/** "full-upgrade on web-01: succeeded" becomes "Full upgrade on web-01: succeeded". Other events keep their text. */
export function eventText({ type, message, details }: EventLike): string {
  const [, action = "", node = "", state = ""] = /^(\S+) on (.*): (\w+)$/.exec(message) ?? [];
  if (!action || action !== details.action || type !== `job.${state}`) return message;
  return t`${actionLabel(action)} on ${node}: ${stateLabel(state).toLowerCase()}`;
}

interface EventRow extends EventLike {
  at: number;
  severity: string;
  source: string;
  node_id: string | null;
}

/** A file for people, with the page's texts. Fields for programs keep the hub's names. */
export const eventsCsv = (events: readonly EventRow[], nameOf: (node: string) => string | undefined): string =>
  csv([["at", "severity", "type", "source", "node", "node_id", "message"], ...events.map((event) => [iso(event.at), event.severity, event.type, event.source, event.node_id === null ? "" : nameOf(event.node_id), event.node_id, eventText(event)])]);

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
const KINDS: readonly string[] = ["node", "job", "deployment"];
/** The hub refuses longer search texts. */
export const MAX_SEARCH_LENGTH = 100;

/** The filter in the address. Invalid values are ignored. */
export function parseEventQuery(get: (name: string) => string | null): Record<"severity" | "type" | "search", string> {
  const type = get("type") ?? "";
  return {
    severity: (get("severity") ?? "").split(",").filter((one) => SEVERITIES.includes(one)).join(),
    type: KINDS.includes(type.split(".")[0] ?? "") && type.length <= MAX_SEARCH_LENGTH ? type : "",
    search: (get("q") ?? "").trim().slice(0, MAX_SEARCH_LENGTH),
  };
}

interface Known {
  id: string;
}

/** The live events that are newer than a list that was read; both begin with the newest. Older ones belong to pages that are not loaded yet. */
export function newerEvents<E extends Known>(live: readonly E[], read: readonly Known[]): readonly E[] {
  const known = new Set(read.map(({ id }) => id));
  const end = live.findIndex(({ id }) => known.has(id));
  return end < 0 ? live : live.slice(0, end);
}
