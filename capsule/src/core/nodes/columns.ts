/** The columns that a user can add to the fleet's table, and the fleet as CSV. */

import type { Filterable } from "./filter";
import { csv, type CsvCell } from "../text/csv";
import { t } from "../text";

export type ColumnKey = "tags" | "os" | "kernel" | "agent" | "address" | "location" | "revision" | "patch" | "reboot" | "failed" | "note";

export const COLUMN_LABELS: Readonly<Record<ColumnKey, string>> = {
  tags: t`Tags`,
  os: t`System`,
  kernel: t`Kernel`,
  agent: t`Agent`,
  address: t`Address`,
  location: t`Location`,
  revision: t`Revision`,
  patch: t`Next patch`,
  reboot: t`Reboot`,
  failed: t`Failed units`,
  note: t`Note`,
};
/** The columns that are there from the start, and may be taken off. Name and state stay. */
export const BUILT_IN: readonly (readonly [string, string])[] = [
  ["cpu", t`CPU`],
  ["memory", t`Memory`],
  ["disk", t`Disk, fullest`],
  ["network", t`Network per s`],
  ["load", t`Load`],
  ["temperature", t`Temp`],
  ["updates", t`Updates`],
  ["up", t`Up`],
];
export const COLUMN_KEYS = Object.keys(COLUMN_LABELS) as readonly ColumnKey[];
const REBOOT_LABELS: Readonly<Record<string, string>> = { yes: t`needed`, no: t`not needed` };

/** The stored column names that this page knows, in the order of the table. */
export const chosenColumns = (names: readonly string[]): ColumnKey[] => COLUMN_KEYS.filter((key) => names.includes(key));

/** The names to store. The order of the table is kept, and names that this page does not know are left out. */
export const storedColumns = (added: readonly string[], off: readonly string[]): string[] => [
  ...chosenColumns(added),
  ...BUILT_IN.filter(([key]) => off.includes(key)).map(([key]) => `-${key}`),
];

interface Shown extends Filterable {
  /** The system's name for people. */
  system: string;
}

/** The text of a cell; empty if the value is unknown or adds nothing, such as an address that equals the node's name. */
export function columnText(key: ColumnKey, shown: Shown): string {
  switch (key) {
    case "tags":
      return shown.tags.join(", ");
    case "os":
      return shown.system;
    case "address":
      return shown.address === shown.name ? "" : shown.address;
    case "reboot":
      return REBOOT_LABELS[shown.reboot] ?? "";
    case "failed":
      return shown.failed ? String(shown.failed) : "";
    default:
      return shown[key];
  }
}

/** All values of these nodes as CSV, whatever columns the table shows. */
export function fleetCsv(rows: readonly Shown[]): string {
  const head = [
    "name",
    "state",
    "health",
    "findings",
    "tags",
    "cpu_percent",
    "memory_percent",
    "disk_percent",
    "load",
    "updates",
    "security_updates",
    "system",
    "kernel",
    "agent",
    "address",
    "location",
    "revision",
    "next_patch",
    "reboot",
    "failed_units",
    "note",
  ];
  const cells = (one: Shown): CsvCell[] => [
    one.name,
    one.state,
    one.health,
    one.findings.join(" "),
    one.tags.join(" "),
    one.cpu,
    one.memory,
    one.disk,
    one.load,
    one.updates,
    one.security,
    one.system,
    one.kernel,
    one.agent,
    one.address,
    one.location,
    one.revision,
    one.patch,
    one.reboot,
    one.failed,
    one.note,
  ];
  return csv([head, ...rows.map(cells)]);
}
