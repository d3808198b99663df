/** What is left to do after a job, by its report. */

import { stateLabel } from "./job-labels";
import { t } from "../text/i18n";

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

/** `node`: as it is now; a report that asks for a reboot changes its `reboot_required` at once. */
export function rebootNeed({ reboot }: Pick<ReportLike, "reboot">, endedAt: number | null, node: NodeLike | undefined): RebootNeed {
  if (reboot === "no" || reboot === "unknown") return reboot;
  if (endedAt === null || !node) return "due";
  if (node.identity.booted_at > endedAt) return "since";
  return node.reboot_required === "no" ? "past" : "due";
}

/** Whether the report says anything. */
export const hasFollowUp = (report: ReportLike): boolean => report.reboot !== "no" || [report.services, report.failed_units, report.config_files, report.notes].some((items) => items.length > 0);

/** The outcome in one line: success is not the whole of it while a reboot is due. */
export const outcomeLabel = (state: string, need: RebootNeed): string => (need === "due" ? t`${stateLabel(state)}, reboot needed` : stateLabel(state));
