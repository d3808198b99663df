/** The fleet's filter: words, `tag:` `state:` `os:`, `cpu>80` `memory<50` `disk>90` `load>4` `updates>0` `security>0`, and `-` before any of them. */

import { t } from "./say";

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
  text: string;
  matches: Test;
  /** In words, for what could not be understood; empty = fine. */
  error: string;
}

const NUMBERS = ["cpu", "memory", "disk", "load", "updates", "security"] as const;
const ALIASES: Record<string, (typeof NUMBERS)[number]> = { mem: "memory" };
const STATES = ["online", "offline", "pending", "stale", "warning", "critical"];

export function parseFilter(text: string): Filter {
  const tests: Test[] = [];
  const errors: string[] = [];
  for (const token of text.trim().split(/\s+/)) {
    if (!token || token === "-") continue;
    const negated = token.startsWith("-");
    const test = one(negated ? token.slice(1) : token);
    if (typeof test === "string") errors.push(test);
    else tests.push(negated ? (row) => !test(row) : test);
  }
  return { text, matches: (row) => tests.every((test) => test(row)), error: errors[0] ?? "" };
}

function one(token: string): Test | string {
  const compared = /^([a-z]+)(<=|>=|<|>|=)(.*)$/i.exec(token);
  if (compared) {
    const word = (compared[1] ?? "").toLowerCase();
    const name = ALIASES[word] ?? NUMBERS.find((known) => known === word);
    const limit = Number((compared[3] ?? "").replace(/%$/, ""));
    if (!name) return t`“${word}” cannot be compared: use ${NUMBERS.join(", ")}`;
    if (!compared[3] || Number.isNaN(limit)) return t`“${token}” needs a number, as in ${name}>80`;
    const operator = compared[2] ?? "=";
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
  const keyed = /^(tag|state|os):(.*)$/i.exec(token);
  if (keyed) {
    const key = (keyed[1] ?? "").toLowerCase();
    const want = (keyed[2] ?? "").toLowerCase();
    if (!want) return t`“${token}” needs a value, as in ${key}:${key === "state" ? "offline" : key === "os" ? "debian" : "web"}`;
    if (key === "tag") return (row) => row.tags.some((tag) => tag.toLowerCase() === want);
    if (key === "os") return (row) => row.os.toLowerCase().includes(want);
    if (!STATES.includes(want)) return t`“${want}” is no state: use ${STATES.join(", ")}`;
    return (row) => row.state === want || (want === "online" && ["warning", "critical", "stale"].includes(row.state));
  }
  const word = token.toLowerCase();
  return (row) => row.name.toLowerCase().includes(word) || row.address.toLowerCase().includes(word) || row.tags.some((tag) => tag.toLowerCase().includes(word));
}
