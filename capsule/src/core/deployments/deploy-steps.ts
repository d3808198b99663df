/** Labels for the steps and failures of a deployment. */

import { removalVerified } from "./removal";
import { t } from "../text";
import type { DeploymentView, EarlierView, StepView } from "../../wire/schema.gen";

const STEP_TITLES: Record<string, string> = {
  connect: t`Reach the server`,
  host_key: t`Check the host key`,
  authenticate: t`Sign in`,
  become_root: t`Become root`,
  probe: t`Check the system`,
  upload: t`Copy the agent`,
  install: t`Install the service`,
  start: t`Start the service`,
  verify: t`Wait for the first sample`,
  stop: t`Stop the service`,
  uninstall: t`Remove files and user`,
  wipe: t`Forget the credentials`,
};

const UPDATE_TITLES: Record<string, string> = {
  wait: t`Wait until the node is free`,
  install: t`Install the new agent`,
  verify: t`Wait until it is connected again`,
};

export function stepTitle(name: string, kind = "install"): string {
  if (kind === "update") return UPDATE_TITLES[name] ?? name;
  if (kind === "remove" && name === "verify") return t`Check that nothing is left`;
  if (kind === "remove" && name === "wipe") return t`Forget the node and its credentials`;
  return STEP_TITLES[name] ?? name.replaceAll("_", " ");
}

export type FixField =
  | "host"
  | "port"
  | "username"
  | "private_key"
  | "passphrase"
  | "password"
  | "sudo_password"
  | "install_python"
  | "name"
  | null;

type DeploymentLike = Pick<DeploymentView, "kind" | "again"> & {
  state: string;
  error: { message: string } | null;
  steps: readonly { name: string; state: string }[];
};

/** The name of the requested action. */
export function deploymentLabel({ kind, again }: DeploymentLike): string {
  if (kind === "install") return again ? t`Deploy again` : t`Add server`;
  return kind === "update" ? t`Update agent` : t`Remove server`;
}

/** The title of the dialog of an installation or update. `live` = the node is online now. */
export function dialogTitle({ kind, state, again }: Pick<DeploymentLike, "kind" | "state" | "again">, name: string, live: boolean): string {
  const update = kind === "update";
  if (state === "failed") return update ? t`Could not update the agent on ${name}` : t`Could not deploy to ${name}`;
  if (state === "cancelled") return update ? t`Update of the agent on ${name} cancelled` : t`Deployment to ${name} cancelled`;
  if (state !== "succeeded") return update ? t`Updating the agent on ${name}` : t`Deploying to ${name}`;
  if (update) return t`The agent on ${name} was updated`;
  if (live) return t`${name} is live`;
  return again ? t`${name} was deployed again` : t`${name} was added`;
}

type Timed = Pick<StepView, "started_at" | "ended_at" | "waited_s">;

/** The seconds that a step has worked. The time in which a person read does not count. Null = not begun, or it waits for a person now. */
export function workedStep({ started_at, ended_at, waited_s }: Timed, state: string, now: number): number | null {
  const end = ended_at ?? (state === "running" ? now : null);
  return started_at === null || end === null ? null : Math.max(0, end - started_at - waited_s);
}

/** The seconds that the last try has worked. Null = it has not begun. */
export function workedSeconds({ steps, state }: { steps: readonly Timed[]; state: string }, now: number): number | null {
  const worked = steps.map((step) => workedStep(step, state, now)).filter((seconds) => seconds !== null);
  return worked.length > 0 ? worked.reduce((sum, seconds) => sum + seconds, 0) : null;
}

/** The status of a deployment in plain words. */
export function deploymentStatusText({ kind, state, error, steps }: DeploymentLike): string {
  if (error) return error.message;
  if (state === "awaiting_host_key") return t`Waiting for its fingerprint to be confirmed`;
  if (state === "succeeded")
    return {
      install: t`Connected`,
      update: t`Updated`,
      remove: removalVerified(steps) ? t`Removed` : t`Forgotten, the server was not contacted`,
    }[kind];
  if (state === "cancelled") return t`Cancelled`;
  const step = steps.find((each) => each.state === "running") ?? steps.find((each) => each.state === "waiting");
  return !step || steps.every((each) => each.state === "waiting") ? t`Waiting for its turn` : stepTitle(step.name, kind);
}

const FIXES: Record<string, FixField> = {
  host_unknown: "host",
  target_not_allowed: "host",
  unreachable: "host",
  connect_timeout: "host",
  port_closed: "port",
  not_ssh: "port",
  ssh_refused: "port",
  key_unreadable: "private_key",
  key_is_public: "private_key",
  key_putty: "private_key",
  key_hardware: "private_key",
  key_too_slow: "private_key",
  key_type: "private_key",
  key_weak: "private_key",
  key_rejected: "private_key",
  no_credentials: "private_key",
  key_encrypted: "passphrase",
  key_passphrase_wrong: "passphrase",
  password_rejected: "password",
  no_shell: "username",
  no_sudo: "username",
  not_in_sudoers: "username",
  sudo_password_required: "sudo_password",
  sudo_password_wrong: "sudo_password",
  sudo_other_password: "sudo_password",
  no_python3: "install_python",
  python3_old: "install_python",
  python3_incomplete: "install_python",
  name_taken: "name",
};

/** The field that fixes a failure, which the form shows with the error. Null = no field fixes it. */
export const fixFor = (code: string): FixField => FIXES[code.replace(/^.*\./, "")] ?? null;

/** Whether a server refused the credentials, so that the same ones are of no use. */
export const isLoginRefusal = (code: string): boolean =>
  ["private_key", "passphrase", "password", "sudo_password"].includes(fixFor(code) ?? "");

const LEFTOVER_TEXTS: Record<EarlierView["left"], string> = {
  nothing: t`it had changed nothing on the server, so every step runs again`,
  taken_back: t`what it had started on the server was undone, so every step runs again`,
  unknown: t`what it may have left on the server is undone first, then every step runs again`,
  goes_on: t`every step runs again and builds on what is still there`,
};

/** How the previous try ended, and which steps this try repeats. */
export function earlierText({ tries, step, left, kept }: EarlierView, kind: string): string {
  const still = kept.includes("host_key") ? ` ${t`You will not be asked to confirm the host key again.`}` : "";
  return t`Attempt ${tries + 1}. The previous one ended at “${stepTitle(step, kind)}”: ${LEFTOVER_TEXTS[left]}.` + still;
}

/** Steps that change nothing on the server. */
const LOGIN_STEPS = ["connect", "host_key", "authenticate", "become_root"];

interface EndedDeployment {
  error: { code: string } | null;
  steps: readonly { name: string; state: string; detail: string }[];
}

/**
 * Says what a failed installation left on the server. Empty if its steps do not show it, or if the error already says it.
 *
 * A failed probe has a detail only if it changed something. A step that was undone says so in its detail.
 */
export function leftoverText({ error, steps }: EndedDeployment): string {
  if (error?.code === "hub_stopped") return "";
  const untouched = steps.every(
    ({ name, state, detail }) =>
      LOGIN_STEPS.includes(name) || state === "waiting" || state === "skipped" || (name === "probe" && state === "failed" && !detail),
  );
  if (untouched) return t`This attempt changed nothing on the server.`;
  return steps.some(({ detail }) => detail.startsWith("everything was taken back"))
    ? t`What this attempt started on the server has been undone.`
    : "";
}
