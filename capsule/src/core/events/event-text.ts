/** Events of jobs in the words of the page: the hub's message has an action and a state as programs name them. */

import { csv } from "../text/csv";
import { t } from "../text/i18n";
import { iso } from "../text/time";
import { ACTION_LABELS, actionLabel, STATE_LABELS, stateLabel } from "../jobs/job-labels";

interface EventLike {
  type: string;
  message: string;
  details: Readonly<Record<string, unknown>>;
}

/** "full-upgrade on web-01: succeeded" is "Full upgrade on web-01: succeeded"; what is of no job stays as it is. */
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

/** For people: as the page tells them. What programs read has the hub's own words. */
export const eventsCsv = (events: readonly EventRow[], nameOf: (node: string) => string | undefined): string =>
  csv([["at", "severity", "type", "source", "node", "node_id", "message"], ...events.map((event) => [iso(event.at), event.severity, event.type, event.source, event.node_id === null ? "" : nameOf(event.node_id), event.node_id, eventText(event)])]);

/** What the hub calls that of which this is all, or the beginning. One word of several may be of anything. */
function calledBy(text: string, words: Readonly<Record<string, string>>): string | undefined {
  const low = text.toLowerCase();
  return Object.keys(words).find((key) => words[key]?.toLowerCase() === low) ?? (low.includes(" ") ? Object.keys(words).find((key) => words[key]?.toLowerCase().startsWith(low)) : undefined);
}

/** Who looks for what is shown, or is still typing it, means what the hub has noted. */
export function eventSearch(text: string): string {
  const [, before = "", last = ""] = /^(.*: )?(.*)$/.exec(text) ?? [];
  const noted = before + (calledBy(last, STATE_LABELS) ?? last);
  const low = noted.toLowerCase();
  const verb = Object.keys(ACTION_LABELS).find((action) => `${low} `.startsWith(`${actionLabel(action).toLowerCase()} `));
  return verb ? verb + noted.slice(actionLabel(verb).length) : (calledBy(noted, ACTION_LABELS) ?? noted);
}

/** As the hub knows them. */
const SEVERITIES: readonly string[] = ["error", "warning", "info"];
const KINDS: readonly string[] = ["node", "job", "deployment"];
/** The hub takes no longer word. */
export const MAX_SEARCH_LENGTH = 100;

/** What an address asks for; what makes no sense there is left out. */
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

/** Of the newest events those that came after a list was read; both begin with what was written last. Further back they are of pages that nobody has asked for yet. */
export function newerEvents<E extends Known>(live: readonly E[], read: readonly Known[]): readonly E[] {
  const known = new Set(read.map(({ id }) => id));
  const end = live.findIndex(({ id }) => known.has(id));
  return end < 0 ? live : live.slice(0, end);
}
