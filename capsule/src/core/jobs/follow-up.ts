/** What remains to be done after a job, according to its report. */

import { pluralWord, t } from "../text";
import { jobGlyph, stateLabel } from "./job-labels";
import type { CodedTextView } from "../../wire/schema.gen";

interface ReportLike {
  reboot: "yes" | "no" | "unknown";
  services: readonly string[];
  failed_units: readonly string[];
  config_files: readonly unknown[];
  notes: readonly string[];
}

/** `due`: the server needs a reboot. `since`: it needed a reboot, and has booted since the job ended. `past`: it needed a reboot, and now reports that it needs none. */
export type RebootNeed = "no" | "unknown" | "due" | "since" | "past";

interface NodeLike {
  reboot_required: "yes" | "no" | "unknown";
  /** `booted_at`: the last boot of the node (of a container: of its host) by the node's clock, in Unix seconds; 0 = not known. */
  identity: { booted_at: number };
}

/** `node`: the current view of the job's node. The hub has set `reboot_required` in this view if the report asks for a reboot. */
export function rebootNeed({ reboot }: Pick<ReportLike, "reboot">, endedAt: number | null, node: NodeLike | undefined): RebootNeed {
  if (reboot === "no" || reboot === "unknown") return reboot;
  if (endedAt === null || !node) return "due";
  if (node.identity.booted_at > endedAt) return "since";
  return node.reboot_required === "no" ? "past" : "due";
}

/** Codes of notes about services, ports, mounts or units that did not come back after a reboot. */
const LOST: ReadonlySet<string> = new Set(["reboot.services", "reboot.ports", "reboot.mounts", "reboot.routes", "reboot.failed_units"]);

export const isLoss = (note: CodedTextView | null | undefined): boolean => LOST.has(note?.code ?? "");

/** Whether the report names anything that remains to be done, or does not know whether a reboot is needed. */
export const hasFollowUp = (report: ReportLike): boolean =>
  report.reboot !== "no" || [report.services, report.failed_units, report.config_files, report.notes].some((items) => items.length > 0);

/** What a check for updates found. */
export const checkResultText = ({ total }: { total: number | null }): string =>
  total === null ? t`It is not known how many updates there are.` : total ? t`${total} ${pluralWord(total, "update")}` : t`No updates.`;

interface Ended {
  state: string;
  /** Whether not everything came back after the reboot. */
  lost: boolean;
}

/** The label of a job's state. It adds that not everything came back after a reboot, or else that a reboot is due. */
export function outcomeLabel({ state, lost }: Ended, need: RebootNeed = "no"): string {
  const label = stateLabel(state);
  if (lost) return t`${label}, not everything came back`;
  return need === "due" ? t`${label}, reboot needed` : label;
}

/** The glyph of a job's state; a warning if it succeeded and not everything came back. */
export const outcomeGlyph = ({ state, lost }: Ended): ReturnType<typeof jobGlyph> =>
  lost && state === "succeeded" ? "warn" : jobGlyph(state);
