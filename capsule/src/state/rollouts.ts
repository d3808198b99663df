/** REST calls and live topics of roll-outs, patch policies, windows and the patch status. */

import { named } from "./organisation";
import { t } from "../core/text";
import { call, url } from "../wire/http";
import type { ApiError } from "../wire/http";
import type {
  NowBody,
  PoliciesFileBody,
  PatchPolicyBody,
  PatchPolicyPatch,
  RolloutBody,
  RolloutsView,
  RolloutView,
  WindowBody,
  WindowView,
} from "../wire/schema.gen";
import { readFreezes } from "./freezes";
import { subscribeWithRetry } from "./live/subscribe-with-retry";
import { withStepUp } from "./step-up";

// -- policies --------------------------------------------------------------------------------------

export const loadPolicies = async () => (await call("GET", "patch-policies")).patch_policies;
export const loadPolicy = (id: string) => call("GET", `patch-policies/${id}`);
export const previewPolicy = (policy: PatchPolicyBody, id: string | null) =>
  call("POST", "patch-policies/preview", { body: { policy, id } });
export const addPolicy = (body: PatchPolicyBody) =>
  withStepUp(() => call("POST", "patch-policies", { body }), t`Enter your password to save a patch policy.`);
export const editPolicy = (id: string, body: PatchPolicyPatch) =>
  withStepUp(() => call("PATCH", `patch-policies/${id}`, { body }), t`Enter your password to change a patch policy.`);
export const deletePolicy = (id: string) =>
  withStepUp(() => call("DELETE", `patch-policies/${id}`), t`Enter your password to delete a patch policy.`);
/** Applies a file of patch policies, all or none; with `dryRun` the hub only says what it would do. */
export const applyPolicies = (items: PoliciesFileBody["policies"], dryRun: boolean) =>
  withStepUp(
    () => call("POST", "patch-policies/apply", { body: { policies: items, dry_run: dryRun } }),
    t`Enter your password to apply a file of patch policies.`,
  );
/** The occurrences of a policy: what was decided about, and the next ones. */
export const loadOccurrences = async (id: string) => (await call("GET", `patch-policies/${id}/occurrences`)).occurrences;
export const approveOccurrence = (id: string, due: number) => call("POST", `patch-policies/${id}/occurrences/${due}/approve`);
export const skipOccurrence = (id: string, due: number) =>
  call("POST", `patch-policies/${id}/occurrences/${due}/skip`, { body: { reason: "" } });

// -- windows and status ----------------------------------------------------------------------------

export const loadWindows = async () => (await call("GET", "windows")).windows;
export async function addWindow(body: WindowBody): Promise<WindowView> {
  const made = await withStepUp(() => call("POST", "windows", { body }), t`Enter your password to add a window or a freeze.`);
  await readFreezes();
  return made;
}
/** Freezes servers from this moment, or opens their windows for a limited time. */
export async function beginNow(body: NowBody): Promise<WindowView> {
  const made = await withStepUp(
    () => call("POST", "windows/now", { body }),
    body.kind === "freeze" ? t`Enter your password to freeze servers now.` : t`Enter your password to open windows now.`,
  );
  await readFreezes();
  return made;
}
export async function deleteWindow(id: string): Promise<void> {
  await withStepUp(() => call("DELETE", `windows/${id}`), t`Enter your password to delete a window or a freeze.`);
  await readFreezes();
}
export const loadPatchStatus = () => call("GET", "patch-status");
/** The address of the patch status as a file. */
export const patchStatusCsv = (): string => url("patch-status", { format: "csv", ...named() });

// -- roll-outs -------------------------------------------------------------------------------------

export const createRollout = (body: RolloutBody, key: string) =>
  withStepUp(() => call("POST", "rollouts", { body, idempotencyKey: key }), t`Enter your password to make a roll-out.`);
export const startRollout = ({ id, confirm, version }: RolloutView) =>
  withStepUp(() => call("POST", `rollouts/${id}/start`, { body: { confirm, version } }), t`Enter your password to start a roll-out.`);
export const pauseRollout = (id: string, when: "wave" | "now") => call("POST", `rollouts/${id}/pause`, { body: { when } });
export const resumeRollout = (id: string) => call("POST", `rollouts/${id}/resume`);
/** An admin becomes its owner, with whose rights it goes on. */
export const takeOverRollout = (id: string) =>
  withStepUp(() => call("POST", `rollouts/${id}/take-over`), t`Enter your password to take a roll-out over.`);
/** The newest roll-outs of a policy. */
export const rolloutsOf = async (policy: string) => (await call("GET", "rollouts", { query: { policy } })).rollouts;
/** The roll-outs of a policy that have not ended. */
export const liveRolloutsOf = async (policy: string) => (await rolloutsOf(policy)).filter(({ ended_at }) => ended_at === null);
export const stopRollout = (id: string) => call("POST", `rollouts/${id}/stop`);
export const goOnWithRollout = (id: string, gate: string, reason: string) =>
  withStepUp(() => call("POST", `rollouts/${id}/go-on`, { body: { gate, reason } }), t`Enter your password to go on in spite of a gate.`);
/** Ends by force what one server of a stopped roll-out still does. */
export const killTarget = (id: string, node_id: string, confirm: string) =>
  withStepUp(() => call("POST", `rollouts/${id}/kill`, { body: { node_id, confirm } }), t`Enter your password to end work by force.`);
export const retryRest = (id: string) =>
  withStepUp(() => call("POST", `rollouts/${id}/retry-rest`), t`Enter your password to try the rest again.`);
export const loadTargets = async (id: string) => (await call("GET", `rollouts/${id}/targets`)).targets;

interface Following<T> {
  change: (view: T) => void;
  refused: (failure: ApiError) => void;
}

/** Follows one roll-out until the returned function is called. */
export const followRollout = (id: string, { change, refused }: Following<RolloutView>): (() => void) =>
  subscribeWithRetry(`rollout:${id}`, {
    snapshot: (data) => change(data as RolloutView),
    change: (data) => change(data as RolloutView),
    refused,
  });

/** Follows the newest roll-outs until the returned function is called. `change` gets them newest first. */
export function followRollouts({ change, refused }: Following<readonly RolloutView[]>): () => void {
  let rollouts: readonly RolloutView[] = [];
  const show = (views: readonly RolloutView[]): void => {
    rollouts = [...views].sort((one, other) => other.made_at - one.made_at);
    change(rollouts);
  };
  return subscribeWithRetry("rollouts", {
    snapshot: (data) => show((data as RolloutsView).rollouts),
    change: (data) => {
      const view = data as RolloutView;
      show([view, ...rollouts.filter(({ id }) => id !== view.id)]);
    },
    refused,
  });
}
