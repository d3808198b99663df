/** What is left to do after a job, by its report. */

import type { CodedText } from "../text/coded-text";
import { t } from "../text/i18n";
import { jobGlyph, stateLabel } from "./job-labels";

interface ReportLike {
  reboot: "yes" | "no" | "unknown";
  services: readonly string[];
  failed_units: readonly string[];
  config_files: readonly unknown[];
  notes: readonly string[];
}

/** `since`: the server needed a reboot, and has booted since the job ended. `past`: it needed one, and reports now that it needs none. */
export type RebootNeed = "no" | "unknown" | "due" | "since" | "past";

interface NodeLike {
  reboot_required: "yes" | "no" | "unknown";
  /** `booted_at`: the last boot by the node's clock, of a container that of its host; 0 = not known. */
  identity: { booted_at: number };
}

/** `node`: as it is now; a report that asks for a reboot changes its `reboot_required` immediately. */
export function rebootNeed({ reboot }: Pick<ReportLike, "reboot">, endedAt: number | null, node: NodeLike | undefined): RebootNeed {
  if (reboot === "no" || reboot === "unknown") return reboot;
  if (endedAt === null || !node) return "due";
  if (node.identity.booted_at > endedAt) return "since";
  return node.reboot_required === "no" ? "past" : "due";
}

/** Notes of a reboot that name what ran, listened or was mounted before it and does not now. */
const LOST: ReadonlySet<string> = new Set(["reboot.services", "reboot.ports", "reboot.mounts", "reboot.failed_units"]);

export const isLoss = (note: CodedText | null | undefined): boolean => LOST.has(note?.code ?? "");

/** Whether the report says anything. */
export const hasFollowUp = (report: ReportLike): boolean => report.reboot !== "no" || [report.services, report.failed_units, report.config_files, report.notes].some((items) => items.length > 0);

interface Ended {
  state: string;
  /** The server came back from the reboot without something. */
  lost: boolean;
}

/** The outcome in one line: success is not the whole of it while a reboot is due or something is lost. */
export function outcomeLabel({ state, lost }: Ended, need: RebootNeed = "no"): string {
  const label = stateLabel(state);
  if (lost) return t`${label}, not everything came back`;
  return need === "due" ? t`${label}, reboot needed` : label;
}

export const outcomeGlyph = ({ state, lost }: Ended): ReturnType<typeof jobGlyph> => (lost && state === "succeeded" ? "warn" : jobGlyph(state));
