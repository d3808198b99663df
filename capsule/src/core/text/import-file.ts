/** Files of rules and patch policies: what is in them, and what the hub would do with it. */

import { wordsOf } from "./field-words";
import { t } from "./i18n";
import { age } from "./time";
import { plural } from "./units";

export interface ImportPlan {
  rows: readonly { name: string; act: "add" | "change" | "keep"; changes: readonly string[] }[];
  /** How many entries of the hub are not in the file. */
  left: number;
}

/** The entries of the file under this name; null if the text has none. */
export function importedItems(text: string, list: string): readonly Record<string, unknown>[] | null {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return null;
  }
  const items = typeof found === "object" && found !== null ? (found as Record<string, unknown>)[list] : null;
  return Array.isArray(items) && items.every((one) => typeof one === "object" && one !== null && !Array.isArray(one)) ? items : null;
}

/** The fields of a rule in a file, as the command line writes them. */
const RULE_FIELDS = ["id", "name", "expr", "select", "when", "warn", "crit", "for_s", "clear_s", "enabled", "overrides"] as const;

type RuleLike = Readonly<Record<(typeof RULE_FIELDS)[number], unknown>>;

/** The rules as a file that can be applied here, on another hub, or by the command line. */
export const rulesFile = (rules: readonly RuleLike[]): string =>
  `${JSON.stringify({ rules: rules.map((rule) => Object.fromEntries(RULE_FIELDS.map((name) => [name, rule[name]]))) }, null, 2)}\n`;

/** The fields of what is imported or has two editors whose name is no word for them. */
const FIELD_WORDS: Readonly<Record<string, string>> = {
  expr: t`expression`,
  select: t`servers`,
  when: t`fires`,
  warn: t`warning`,
  crit: t`critical`,
  for: t`after it lasted`,
  clear: t`ends after`,
  overrides: t`exceptions`,
  enabled: t`switched on`,
  trigger: t`starts at`,
  all: t`all servers`,
  ca_pem: t`certificate authority`,
  node_quota: t`most servers`,
  slug: t`short name`,
};

const fieldWords = (name: string): string => {
  const bare = name.replace(/_s$/, "");
  return FIELD_WORDS[bare] ?? wordsOf(name);
};

/** A value of JSON in words: "starts at 95, ends at 90", "tag web, tag db", "none". A name that ends with `_s` is a duration. */
function valueWords(value: unknown, name = ""): string {
  if (value === null || value === "" || (Array.isArray(value) && !value.length)) return t`none`;
  if (typeof value === "boolean") return value ? t`yes` : t`no`;
  if (typeof value === "number") return name.endsWith("_s") && value > 0 ? age(value) : String(value);
  if (Array.isArray(value)) return value.map((one) => valueWords(one)).join("; ");
  if (typeof value === "string" && value.includes("\n")) return plural(value.split("\n").length, "line");
  if (typeof value !== "object") return String(value);
  const found = value as Record<string, unknown>;
  if (typeof found.trigger === "number") return t`starts at ${found.trigger}, ends at ${valueWords(found.clear)}`;
  // what is not set says nothing: a selector of all servers names no tags
  const set = Object.entries(found).filter(([, one]) => one !== null && one !== false && !(Array.isArray(one) && !one.length));
  return set.map(([key, one]) => (one === true ? fieldWords(key) : `${fieldWords(key)} ${valueWords(one, key)}`)).join(", ") || t`none`;
}

/** A changed field in one line, for example "Warning: starts at 90, ends at 85 → none". */
export function fieldChange({ field, before, after }: { field: string; before: unknown; after: unknown }): string {
  const words = fieldWords(field);
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}: ${valueWords(before, field)} → ${valueWords(after, field)}`;
}
