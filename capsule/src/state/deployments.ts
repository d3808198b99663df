/** The running deployments and removals, on every page. `deployment.ts` has the actions on one deployment. */

import { computed, signal, type Signal } from "@preact/signals";
import { t } from "../core/text";
import { ApiError, call } from "../wire/http";
import type { DeploymentView } from "../wire/schema.gen";
import { showDialog } from "./dialogs";
import { onEvent } from "./events";
import { connections, subscribe } from "./live/link";
import { onSessionEnd, phase } from "./session";
import { dismiss, toast } from "./toasts";

const known = new Map<string, Signal<DeploymentView>>();
/** The unsubscriber of each deployment that is followed live, by id. */
const ends = new Map<string, () => void>();
/** The deployments with an open dialog, by id. */
const shown = new Set<string>();
/** The toast of each deployment, by id. */
const notes = new Map<string, number>();
const version = signal(0);
/** An event starts a read after this wait, so that several events cause one read. */
const SETTLE_MS = 500;

export const deploymentEnded = (deployment: DeploymentView): boolean =>
  deployment.state !== "running" && deployment.state !== "awaiting_host_key";

export const activeDeployments = computed<readonly DeploymentView[]>(() => {
  void version.value;
  return [...known.values()].map((deployment) => deployment.value).filter((deployment) => !deploymentEnded(deployment));
});

/** A text that changes when a deployment appears or changes its state. Lists of deployments then load again. */
export const deploymentStates = computed(() => {
  void version.value;
  return [...known.values()].map(({ value: deployment }) => `${deployment.id}${deployment.state}`).join();
});

/** The newer of this view and the live view of the same deployment. */
export function newestDeployment(deployment: DeploymentView): DeploymentView {
  const live = known.get(deployment.id)?.value;
  return live && live.version > deployment.version ? live : deployment;
}

/** Stores a view unless a newer one is known: a live message may be newer than an answer. */
export function noteDeployment(deployment: DeploymentView): Signal<DeploymentView> {
  const stored = known.get(deployment.id);
  if (stored) {
    const before = stored.peek();
    if (deployment.version <= before.version) return stored;
    stored.value = deployment;
    if (deployment.state !== before.state) notifyState(deployment);
    return stored;
  }
  const made = signal(deployment);
  known.set(deployment.id, made);
  version.value += 1;
  return made;
}

/** Opens the dialog of a running or ended deployment. */
export function openDeployment({ id, kind, node_id: node }: DeploymentView): void {
  showDialog(kind === "remove" && node ? { kind, node, deployment: id } : { kind: "add", deployment: id });
}

/** Shows a toast when a deployment succeeds, fails or waits for the user, unless its dialog is open or it belongs to a batch. */
function notifyState(deployment: DeploymentView): void {
  const { id, kind } = deployment;
  if (deploymentEnded(deployment)) unsubscribe(id);
  dismiss(notes.get(id) ?? 0);
  if (shown.has(id) || deployment.batch_id) return; // the page of a batch reports on its deployments
  const name = deployment.name || deployment.host;
  const done = { install: deployment.again ? t`deployed again` : t`added`, update: t`updated`, remove: t`removed` }[kind];
  const open = { label: t`Open`, run: (): void => openDeployment(deployment) };
  if (deployment.state === "succeeded") toast("done", t`${name} was ${done}`);
  else if (deployment.state === "failed")
    notes.set(id, toast("fail", t`${name} could not be ${done}`, deployment.error?.message ?? "", open));
  else if (deployment.state === "awaiting_host_key") notes.set(id, toast("wait", t`${name}: compare its host key`, "", open));
}

function subscribeTo(id: string): void {
  if (ends.has(id)) return;
  const take = (data: unknown): void => void noteDeployment(data as DeploymentView);
  ends.set(id, subscribe(`deployment:${id}`, { snapshot: take, change: take }, { whileHidden: true }));
}

/** Unsubscribes from an ended deployment, unless its dialog is open: another user may retry it. */
function unsubscribe(id: string): void {
  if (shown.has(id)) return;
  ends.get(id)?.();
  ends.delete(id);
}

/** Follows one deployment live. All callers get the same signal. */
export function followDeployment(deployment: DeploymentView): Signal<DeploymentView> {
  const stored = noteDeployment(deployment);
  if (!deploymentEnded(stored.peek())) subscribeTo(deployment.id);
  return stored;
}

/** Call this while a dialog shows a deployment: there are no toasts about it, and it stays live after its end. Returns the unsubscriber. */
export function watchDeployment(id: string): () => void {
  shown.add(id);
  dismiss(notes.get(id) ?? 0);
  subscribeTo(id);
  return () => {
    shown.delete(id);
    const stored = known.get(id);
    if (!stored || deploymentEnded(stored.peek())) unsubscribe(id);
  };
}

/** Loads the newest deployments of all users and follows those that run. */
export async function loadDeployments(limit = 20): Promise<void> {
  try {
    const page = await call("GET", "deployments", { query: { limit } });
    for (const deployment of page.deployments) followDeployment(deployment);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    // Without this answer the page lacks only deployments that run in the background. A banner reports that the hub is offline.
  }
}

phase.subscribe((at) => {
  if (at === "ready") void loadDeployments();
});
connections.subscribe((made) => {
  if (made > 1 && phase.peek() === "ready") void loadDeployments();
});
let soon: ReturnType<typeof setTimeout> | undefined;
onEvent(({ type }) => {
  if (!type.startsWith("deployment_")) return;
  clearTimeout(soon);
  soon = setTimeout(() => phase.peek() === "ready" && void loadDeployments(), SETTLE_MS);
});
onSessionEnd(() => {
  for (const end of ends.values()) end();
  ends.clear();
  known.clear();
  shown.clear();
  notes.clear();
  version.value += 1;
});
