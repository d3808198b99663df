/** The fleet's filter: words, `tag:` `state:` `os:`, `cpu>80` `memory<50` `disk>90` `load>4` `updates>0` `security>0`, and `-` before any of them. */

export interface Filterable {
  name: string;
  address: string;
  tags: readonly string[];
  os: string;
  state: string;
  cpu: number | null;
  memory: number | null;
  disk: number | null;
  load: number | null;
  updates: number | null;
  security: number | null;
}

type Test = (row: Filterable) => boolean;

export interface Filter {
  matches: Test;
  /** The first part that could not be understood, which `faultOf` says in words; empty = fine. */
  wrong: string;
}

export const NUMBERS = ["cpu", "memory", "disk", "load", "updates", "security"] as const;
const ALIASES: Record<string, string> = { mem: "memory" };
export const STATES = ["online", "offline", "pending", "stale", "warning", "critical"];

/** Each thing that is asked for, as if nobody had put blanks around its operator; what stands in quotes is one. */
export const tokensOf = (text: string): string[] =>
  text
    .replace(/[“”]/g, '"')
    .replace(/("[^"]*"?)|\s*([<>=]+)\s*|(?<=[a-z]:)\s+/gi, "$1$2")
    .match(/("[^"]*"?|[^\s"])+/g) ?? [];

/** What an operator stands between; an address with colons is a word. */
export const partsOf = (token: string): RegExpExecArray | null => /^(?![\da-f:.]+$)([a-z]+)([<>]=?|[=:])(.*)/i.exec(token);

/** Which number a word names. */
export const numberOf = (word: string): (typeof NUMBERS)[number] | undefined => NUMBERS.find((known) => known === (ALIASES[word] ?? word));

export function parseFilter(text: string): Filter {
  const tests: Test[] = [];
  let wrong = "";
  for (const token of tokensOf(text)) {
    if (token === "-") continue;
    const negated = token.startsWith("-");
    const test = one(negated ? token.slice(1) : token);
    if (!test) wrong ||= token;
    else tests.push(negated ? (row) => !test(row) : test);
  }
  return { matches: (row) => tests.every((test) => test(row)), wrong };
}

function one(token: string): Test | null {
  const [, word = "", operator, rest = token] = partsOf(token) ?? [];
  const want = rest.replace(/"/g, "").toLowerCase();
  if (!operator) return /^[^"]*[<>=]/.test(token) ? null : (row) => row.name.toLowerCase().includes(want) || row.address.toLowerCase().includes(want) || row.tags.some((tag) => tag.toLowerCase().includes(want));
  const key = word.toLowerCase();
  const name = numberOf(key);
  const compares = operator !== ":" && operator !== "=";
  if (!want || (name ? operator === ":" : compares)) return null;
  if (name) {
    const limit = Number(want.replace(/%$/, ""));
    if (Number.isNaN(limit)) return null;
    return (row) => {
      const value = row[name];
      if (value === null) return false;
      if (operator === ">") return value > limit;
      if (operator === "<") return value < limit;
      if (operator === ">=") return value >= limit;
      if (operator === "<=") return value <= limit;
      return value === limit;
    };
  }
  if (key === "tag") return (row) => row.tags.some((tag) => tag.toLowerCase() === want);
  if (key === "os") return (row) => row.os.toLowerCase().includes(want);
  if (key !== "state" || !STATES.includes(want)) return null;
  return (row) => row.state === want || (want === "online" && ["warning", "critical", "stale"].includes(row.state));
}
