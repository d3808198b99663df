/** The running deployments and removals, on every page. `deployment.ts` has the actions on one deployment. */

import { computed, signal, type Signal } from "@preact/signals";
import { t } from "../core/text/i18n";
import { ApiError, call } from "../wire/http";
import type { DeploymentView, DeploymentsView } from "../wire/schema.gen";
import { showDialog } from "./dialogs";
import { onEvent } from "./events";
import { connections, subscribe } from "./live/link";
import { onSessionEnd, phase } from "./session";
import { dismiss, toast } from "./toasts";

const known = new Map<string, Signal<DeploymentView>>();
const ends = new Map<string, () => void>();
const shown = new Set<string>();
/** The toast of each deployment, by id. */
const notes = new Map<string, number>();
const version = signal(0);
/** Several deployments may end at the same time. */
const SETTLE_MS = 500;

export const deploymentEnded = (one: DeploymentView): boolean => one.state !== "running" && one.state !== "awaiting_host_key";

export const activeDeployments = computed<readonly DeploymentView[]>(() => {
  void version.value;
  return [...known.values()].map((one) => one.value).filter((one) => !deploymentEnded(one));
});

/** A text that changes when a deployment appears or changes its state. Lists of deployments then load again. */
export const deploymentStates = computed(() => {
  void version.value;
  return [...known.values()].map(({ value: one }) => `${one.id}${one.state}`).join();
});

/** The newer of this view and the live view of the same deployment. */
export function newestDeployment(one: DeploymentView): DeploymentView {
  const live = known.get(one.id)?.value;
  return live && live.version > one.version ? live : one;
}

/** Stores a view unless a newer one is known: a live message may be newer than an answer. */
export function noteDeployment(one: DeploymentView): Signal<DeploymentView> {
  const stored = known.get(one.id);
  if (stored) {
    const before = stored.peek();
    if (one.version <= before.version) return stored;
    stored.value = one;
    if (one.state !== before.state) notifyState(one);
    return stored;
  }
  const made = signal(one);
  known.set(one.id, made);
  version.value += 1;
  return made;
}

/** Opens the dialog of a running or ended deployment. */
export function openDeployment({ id, kind, node_id: node }: DeploymentView): void {
  showDialog(kind === "remove" && node ? { kind, node, deployment: id } : { kind: "add", deployment: id });
}

/** Shows a toast when a deployment without an open dialog ends or waits for the user. The toast opens its dialog. */
function notifyState(one: DeploymentView): void {
  const { id, kind } = one;
  if (deploymentEnded(one)) unsubscribe(id);
  dismiss(notes.get(id) ?? 0);
  if (shown.has(id) || one.batch_id) return; // the page of a batch reports on its deployments
  const name = one.name || one.host;
  const done = { install: one.again ? t`deployed again` : t`added`, update: t`updated`, remove: t`removed` }[kind];
  const open = { label: t`Open`, run: (): void => openDeployment(one) };
  if (one.state === "succeeded") toast("done", t`${name} was ${done}`);
  else if (one.state === "failed") notes.set(id, toast("fail", t`${name} could not be ${done}`, one.error?.message ?? "", open));
  else if (one.state === "awaiting_host_key") notes.set(id, toast("wait", t`${name}: compare its host key`, "", open));
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
export function followDeployment(one: DeploymentView): Signal<DeploymentView> {
  const stored = noteDeployment(one);
  if (!deploymentEnded(stored.peek())) subscribeTo(one.id);
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
    const page = await call<DeploymentsView>("GET", "deployments", { query: { limit } });
    for (const one of page.deployments) followDeployment(one);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    // The page then lacks only deployments that run in the background. The offline banner reports the hub.
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
