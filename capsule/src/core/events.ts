/** Events of jobs in the words of the page: the hub's message has an action and a state as programs name them. */

import { t } from "./say";
import { ACTION_WORDS, actionWord, stateWord } from "./words";

interface EventLike {
  type: string;
  message: string;
  details: Readonly<Record<string, unknown>>;
}

/** "full-upgrade on web-01: succeeded" is "Full upgrade on web-01: succeeded"; what is of no job stays as it is. */
export function eventText({ type, message, details }: EventLike): string {
  const [, action = "", node = "", state = ""] = /^(\S+) on (.*): (\w+)$/.exec(message) ?? [];
  if (!action || action !== details.action || type !== `job.${state}`) return message;
  return t`${actionWord(action)} on ${node}: ${stateWord(state).toLowerCase()}`;
}

/** Who looks for what is shown means what the hub has noted. */
export function eventSearch(text: string): string {
  const low = text.toLowerCase();
  const verb = Object.keys(ACTION_WORDS).find((action) => `${low} `.startsWith(`${actionWord(action).toLowerCase()} `));
  return verb ? verb + text.slice(actionWord(verb).length) : text;
}

interface Known {
  id: string;
}

/** Of the newest events those that came after a list was read; both begin with what was written last. Further back they are of pages that nobody has asked for yet. */
export function cameSince<E extends Known>(live: readonly E[], read: readonly Known[]): readonly E[] {
  const known = new Set(read.map(({ id }) => id));
  const end = live.findIndex(({ id }) => known.has(id));
  return end < 0 ? live : live.slice(0, end);
}
