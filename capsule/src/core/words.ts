/** Words for states, phases and actions of jobs. */

export const ACTION_WORDS: Record<string, string> = {
  refresh: "Refresh package lists",
  check: "Check for updates",
  upgrade: "Upgrade packages",
  "full-upgrade": "Full upgrade",
  "security-upgrade": "Security upgrade",
  plan: "Plan",
  install: "Install packages",
  remove: "Remove packages",
  autoremove: "Remove what nothing needs",
  hold: "Hold packages",
  unhold: "Release packages",
  clean: "Clean up",
  repair: "Repair packages",
  reboot: "Reboot",
  update: "Update agent",
  rekey: "New keys",
  uninstall: "Remove agent",
};

export const PHASE_WORDS: Record<string, string> = {
  refresh: "reading package lists",
  plan: "planning",
  waiting_lock: "waiting for another package manager",
  download: "downloading",
  commit: "installing",
  triggers: "finishing",
  check: "checking the result",
};

export const STATE_WORDS: Record<string, string> = {
  queued: "Waiting for the server",
  dispatched: "Sent to the server",
  accepted: "Accepted by the server",
  running: "Running",
  succeeded: "Succeeded",
  failed: "Failed",
  cancelled: "Cancelled",
  interrupted: "Interrupted",
  expired: "Expired",
  unknown: "Outcome unknown",
};

const ENDED = new Set(["succeeded", "failed", "cancelled", "interrupted", "expired", "unknown"]);

export const jobEnded = (state: string): boolean => ENDED.has(state);
export const actionWord = (action: string): string => ACTION_WORDS[action] ?? action;
/** What changes something is called by what it does: not all of it installs. */
export function phaseWord(phase: string, action: string): string {
  if (phase === "commit" && /remove$/.test(action)) return "removing";
  if (phase === "commit" && action === "reboot") return "restarting";
  if (phase === "commit" && !/upgrade|install|update/.test(action)) return "working";
  return PHASE_WORDS[phase] ?? phase;
}
export const stateWord = (state: string): string => STATE_WORDS[state] ?? state;

/** The glyph of a job's state. */
export function jobGlyph(state: string): "done" | "fail" | "run" | "wait" | "off" | "warn" {
  if (state === "succeeded") return "done";
  if (state === "failed") return "fail";
  if (state === "cancelled" || state === "expired") return "off";
  if (state === "interrupted" || state === "unknown") return "warn";
  return state === "queued" ? "wait" : "run";
}

/** What the owner of a server lets Stardust do there, for a choice. */
export const POLICIES: readonly [string, string][] = [["managed", "Managed"], ["readonly", "Read only"], ["monitor", "Monitor"]]; // prettier-ignore
