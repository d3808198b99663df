/**
 * The fleet's filter: words, `tag:` `state:` `health:` `finding:` `reboot:yes`, `os:` `kernel:` `agent:` `address:` `location:` `revision:` `patch:` `note:`, `cpu>80` `memory<50`
 * `disk>90` `load>4` `updates>0` `security>0` `failed>0`. A node matches if all parts match; `-` before a part negates it.
 */

export interface Filterable {
  name: string;
  address: string;
  tags: readonly string[];
  os: string;
  kernel: string;
  /** The version of the node's agent. */
  agent: string;
  /** Where the node is; empty = not known. */
  location: string;
  /** The revision and the generation of the node's declarative configuration; empty = not known. */
  revision: string;
  /** When which patch policy touches it next; `none` = it is under none; empty = not known. */
  patch: string;
  note: string;
  reboot: string;
  state: string;
  /** The hub's level of health. */
  health: string;
  /** The kinds of the hub's findings. */
  findings: readonly string[];
  cpu: number | null;
  memory: number | null;
  disk: number | null;
  load: number | null;
  updates: number | null;
  security: number | null;
  /** The number of failed units. */
  failed: number;
}

type Test = (row: Filterable) => boolean;

export interface Filter {
  matches: Test;
  /** The first invalid part, for `filterError`; empty = the filter is valid. */
  wrong: string;
}

export const NUMBERS = ["cpu", "memory", "disk", "load", "updates", "security", "failed"] as const;
/** Keys that search within a text. */
export const TEXTS = ["os", "kernel", "agent", "address", "location", "revision", "patch", "note"] as const;
/** The values of the keys `reboot`, `state` and `health`. */
export const REBOOTS = ["yes", "no", "unknown"];
export const STATES = ["broken", "online", "offline", "pending", "reconnecting", "stale", "notice", "warning", "critical"];
export const LEVELS = ["critical", "warning", "notice", "ok", "unknown"];
/** Nodes of these states have no connection. */
const AWAY = ["offline", "pending", "reconnecting"];

/** The most characters of a number, because `toFixed` accepts at most a hundred decimals. */
const MOST_DIGITS = 20;

/** The filter for this tag, in quotes if it would be split. Quotes within the tag are left out here, and ignored when tags are compared. */
export const tagFilter = (tag: string): string => (/[\s<>="“”]/.test(tag) ? `tag:"${tag.replace(/["“”]/g, "")}"` : `tag:${tag}`);

/** The parts of a filter, without the blanks around operators. A quoted text is one part, even if the quote is not closed. */
export const tokensOf = (text: string): string[] =>
  `${text}"` // closes an open quote; a quote alone is no part
    .replace(/[“”]/g, '"')
    .replace(/("[^"]*")|\s*([<>=]+)\s*|([a-z]:)\s+/gi, "$1$2$3")
    .match(/("[^"]*"|[^\s"])+/g) ?? [];

/** Splits a part into key, operator and value; null for a word. An address with colons is a word. */
export const splitToken = (token: string): RegExpExecArray | null =>
  /^(?![\da-f:.]+$)([a-z]+)([<>]=?|[=:])(.*)/i.exec(token.replace(/:(?=[<>=])/, ""));

/** The numeric key with this name; undefined if there is none. `mem` is short for `memory`. */
export const numberNamed = (word: string): (typeof NUMBERS)[number] | undefined =>
  NUMBERS.find((known) => known === (word === "mem" ? "memory" : word));

export function parseFilter(text: string): Filter {
  const tests: Test[] = [];
  let wrong = "";
  for (const token of tokensOf(text)) {
    if (token === "-") continue;
    const negated = token.startsWith("-");
    const test = parseToken(token.slice(negated ? 1 : 0).toLowerCase(), () => void (wrong ||= token));
    if (test) tests.push(negated ? (row) => !test(row) : test);
  }
  return { matches: (row) => tests.every((test) => test(row)), wrong };
}

/** The test of a part; undefined if the part is invalid. Calls `reject` if the part is invalid or its key unknown. A part with an unknown key is searched as a word. */
function parseToken(token: string, reject: () => void): Test | void {
  const [, key = "", operator = "", rest = token] = splitToken(token) ?? [];
  const want = rest.replace(/"/g, "");
  const name = numberNamed(key);
  if (operator ? !want || (name ? operator === ":" : /[<>]/.test(operator)) : /^[^"]*[<>=]/.test(token)) return reject();
  if (name) {
    const plain = want.replace(/%$/, "");
    const limit = Number(plain);
    if (Number.isNaN(limit) || plain.length > MOST_DIGITS) return reject();
    return (row) => {
      const value = row[name] ?? NaN; // NaN compares with nothing
      if (operator === "=") return Number(value.toFixed(plain.split(".")[1]?.length)) === limit; // compares with the precision of the filter
      return (operator.length > 1 && value === limit) || (operator.startsWith(">") ? value > limit : value < limit);
    };
  }
  if (key === "tag") return (row) => row.tags.some((tag) => tag.toLowerCase().replace(/["“”]/g, "") === want); // quotes are ignored in the filter too
  const text = TEXTS.find((known) => known === key);
  if (text) return (row) => row[text].toLowerCase().includes(want);
  if (key === "reboot") return REBOOTS.includes(want) ? (row) => row.reboot === want : reject();
  if (key === "state")
    return STATES.includes(want)
      ? (row) =>
          row.state === want ||
          (want === "broken" && row.findings.includes("packages_broken")) ||
          (want === "critical" && row.state === "offline" && row.health === "critical") ||
          (want === "online" && !AWAY.includes(row.state))
      : reject();
  if (key === "health") return LEVELS.includes(want) ? (row) => row.health === want : reject();
  if (key === "finding") return (row) => row.findings.includes(want);
  if (operator) reject();
  return (row) => [row.name, row.address, ...row.tags].some((text) => text.toLowerCase().includes(key + operator + want));
}

/** The parts of a filter with its `state:` replaced; an empty state removes it. */
export const withState = (tokens: readonly string[], state: string): string[] =>
  tokens.filter((one) => !/^state[:=]/i.test(one)).concat(state ? `state:${state}` : []);
