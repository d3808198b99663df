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

/** `since`: the server needed a reboot, and has booted since the job ended. */
export type RebootNeed = "no" | "unknown" | "due" | "since";

/** `bootedAt`: the last boot of the node; 0 = not known. */
export function rebootNeed({ reboot }: Pick<ReportLike, "reboot">, endedAt: number | null, bootedAt: number): RebootNeed {
  if (reboot === "no" || reboot === "unknown") return reboot;
  return endedAt !== null && bootedAt > endedAt ? "since" : "due";
}

/** Whether the report says anything. */
export const hasFollowUp = (report: ReportLike): boolean => report.reboot !== "no" || [report.services, report.failed_units, report.config_files, report.notes].some((items) => items.length > 0);

/** The outcome in one line: success is not the whole of it while a reboot is due. */
export const outcomeLabel = (state: string, need: RebootNeed): string => (need === "due" ? t`${stateLabel(state)}, reboot needed` : stateLabel(state));
