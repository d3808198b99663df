/** The actions that a server can run as jobs, mainly for packages, and their labels. */

import { codedText } from "../text/coded-text";
import { decimalSize, pluralWord, t } from "../text";
import { ARG_KINDS } from "./arg-kinds.gen";
import { jobEnded } from "./job-labels";
import { VERBS, type PlannedVerb, type Verb } from "./verbs.gen";
import type { CodedTextView, PlanStepView, PlanView } from "../../wire/schema.gen";

type KeptBackReason = "held" | "phased" | "pinned" | "needs_new" | "needs_removal" | "unresolvable" | "other";

type PlanLike = Pick<PlanView, "counts" | "download_bytes"> & { reboot: string };

interface PlanBatch {
  jobs: readonly { node_id: string; state: string; planned?: boolean }[];
}

interface Stoppable {
  stop: { state: "asked" | "now" | "after_package" | "too_late"; why: string; why_coded: CodedTextView | null; force?: boolean } | null;
}

/** The verbs that a user can request as a job, in menu order. Plans are left out, because the page requests plans itself. */
export const JOB_VERBS: readonly (readonly [string, Verb])[] = Object.entries(VERBS).filter(
  ([action, verb]) => !verb.selfcare && action !== "plan",
);

export const isPlanned = (action: string): action is PlannedVerb => VERBS[action]?.planned === true;
export const wantsPackages = (action: string): boolean => VERBS[action]?.packages === "needed";

const KEPT_BACK_LABELS: Record<KeptBackReason, string> = {
  held: t`held on the server`,
  phased: t`offered to only some servers so far`,
  pinned: t`pinned to another version`,
  needs_new: t`needs new packages: use a full upgrade`,
  needs_removal: t`needs a package removed: use a full upgrade`,
  unresolvable: t`what it needs is not available, at least not without removing something`,
  other: t`kept back by the server`,
};

export const keptBackLabel = (reason: KeptBackReason): string => KEPT_BACK_LABELS[reason];

/** The package names in a typed text, which blanks or commas separate; each name once. */
export const splitNames = (text: string): string[] => [...new Set(text.split(/[\s,]+/).filter(Boolean))];

type ArgName = (typeof ARG_KINDS)[number]["name"];
/** What a job names, by kind; a kind that its action does not take is empty, null or absent. */
export type Named = Readonly<Partial<Record<ArgName, readonly string[] | string | null>>>;

/** The names of a job, of any kind. */
export const namesOf = (job: Named): string[] => ARG_KINDS.flatMap(({ name }) => job[name] ?? []);

/** Whether the names of an action must be in the owner's policy. Such a job is ordered where its names are shown, and not from a list of packages. */
export const hasPolicyNames = (job: Named): boolean => ARG_KINDS.some(({ name, line }) => line && job[name]?.length);

/** What a job names. An upgrade that names nothing is about all packages. Empty for any other job. */
export function packagesLabel(job: Named & { action: string; for?: string | null }): string {
  const names = namesOf(job).join(", ");
  if (names) return names;
  return VERBS[job.for ?? job.action]?.upgrades ? t`All packages` : "";
}

type StepLike = Pick<PlanStepView, "package" | "from" | "to">;

/** Whether a step replaces a package by another version of it. */
export const isUpgrade = ({ from, to }: StepLike): boolean => from !== "" && to !== "";
/** Whether packages can be left out of a plan. The job then upgrades the rest by name, and such a job removes nothing. So the plan of a full upgrade must have no removals. */
export const canLeaveOut = (action: string, { counts }: PlanLike): boolean =>
  !!VERBS[action]?.upgrades && (action !== "full-upgrade" || counts.removals === 0);
/** The packages to upgrade when the packages in `without` are left out. New packages are not named: the upgrade installs those it needs. */
export const remainingUpgrades = (steps: readonly StepLike[], without: ReadonlySet<string>): string[] =>
  steps.filter((step) => isUpgrade(step) && !without.has(step.package)).map((step) => step.package);

export type PlanChipKind = "change" | "removal" | "security" | "reboot" | "kept" | "size";

/** A plan as a few short texts: its changes, and what the user should know before it starts. */
export function planChips({ counts, reboot, download_bytes }: PlanLike): readonly (readonly [PlanChipKind, string])[] {
  const parts: readonly (readonly [PlanChipKind, number, string])[] = [
    ["security", counts.security, t`${counts.security} for security`],
    ["removal", counts.removals, t`${counts.removals} ${pluralWord(counts.removals, "removal")}`],
    ["change", counts.upgrades, t`${counts.upgrades} ${pluralWord(counts.upgrades, "upgrade")}`],
    ["change", counts.new, t`${counts.new} ${pluralWord(counts.new, "new package")}`],
    ["kept", counts.kept, t`${counts.kept} kept back`],
    ["size", download_bytes ?? 0, t`${decimalSize(download_bytes ?? 0)} to download`],
  ];
  const shown = parts.filter(([, count]) => count > 0).map(([kind, , text]) => [kind, text] as const);
  if (counts.upgrades + counts.new + counts.removals === 0)
    return [["change", t`Nothing to do`], ...shown.filter(([kind]) => kind === "kept")];
  return reboot === "yes" ? [["reboot", t`reboot expected`], ...shown] : shown;
}

/** Why a planned node is left out when jobs start from plans: offline, still planning, its plan is there but not usable yet, or no plan reported. */
export type SkipReason = "away" | "planning" | "reading" | "silent";

export const SKIP_REASON_LABELS: Record<SkipReason, string> = {
  away: t`not connected`,
  planning: t`still planning`,
  reading: t`planned, and not done yet`,
  silent: t`no plan reported`,
};

/** The nodes of a batch of plans from whose plan nothing can start yet, by reason. */
export function skippedNodes(
  { jobs }: PlanBatch,
  plans: { has: (node: string) => boolean },
  online: (node: string) => boolean,
): Map<SkipReason, string[]> {
  const found = new Map<SkipReason, string[]>();
  const add = (why: SkipReason, node: string): void => void found.set(why, [...(found.get(why) ?? []), node]);
  for (const { node_id, state, planned } of jobs) {
    if (state === "succeeded" && plans.has(node_id)) continue;
    const has = planned || plans.has(node_id);
    add(jobEnded(state) ? "silent" : has ? "reading" : online(node_id) ? "planning" : "away", node_id);
  }
  return found;
}

/** The status of a job's stop request; empty = none. */
export function stopStatusText(job: Stoppable): string {
  if (!job.stop) return "";
  const why = job.stop.why ? `: ${codedText(job.stop.why, job.stop.why_coded)}` : "";
  switch (job.stop.state) {
    case "asked":
      return t`The server was asked to stop the job.`;
    case "now":
      return t`Stopping now${why}`;
    case "after_package":
      return t`Stopping after the current package${why}`;
    case "too_late":
      return t`The job can no longer be stopped${why}`;
  }
}

/** Whether the server has answered that it cannot stop the job immediately, and force was not used yet. */
export const mayForce = ({ stop }: Stoppable): boolean =>
  stop !== null && !stop.force && (stop.state === "too_late" || stop.state === "after_package");

export const STOP_HINT = t`The job stops as soon as it safely can: a package being installed is finished first. What is done by then stays; the rest you have to start again.`;

export const FORCE_STOP_HINT = t`This ends the current package’s script, such as one waiting for a service or an answer, but not the package manager itself. That package and those that need it may stay half configured until “Repair packages” fixes them.`;
