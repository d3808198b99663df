/** Files of rules and patch policies: what is in them, and what the hub would do with it. */

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

/** A changed field in one line, for example "warn: {…} → null". */
export const fieldChange = ({ field, before, after }: { field: string; before: unknown; after: unknown }): string =>
  `${field}: ${JSON.stringify(before)} → ${JSON.stringify(after)}`;
