/**
 * One deployment or removal: start, confirm the host key, cancel, retry.
 *
 * Secrets are passed on and not stored here. The caller asks for the password where the hub requires it.
 */

import type { Signal } from "@preact/signals";
import { call, url } from "../wire/http";
import type { DeploymentBody, DeploymentsView, DeploymentView, RetryBody } from "../wire/schema.gen";
import { followDeployment, noteDeployment } from "./deployments";

/** A key that was used before returns the deployment of that request. */
export async function startDeployment(body: DeploymentBody, key: string): Promise<Signal<DeploymentView>> {
  return followDeployment(await call<DeploymentView>("POST", "deployments", { body, idempotencyKey: key }));
}

/** Returns the running removal, if there is one. */
export async function removeNode(nodeId: string, body: RetryBody, force: boolean): Promise<Signal<DeploymentView>> {
  const query = force ? { force: "true" } : {};
  return followDeployment(await call<DeploymentView>("DELETE", `nodes/${nodeId}`, { body, query }));
}

/** The URL of a node's whole history as a file, one row for each minute. */
export const historyUrl = (nodeId: string): string => url(`nodes/${nodeId}/export`, { tier: "1m" });

/** Replaces the agent on the node's server. Returns the running deployment, if there is one. */
export async function redeployNode(nodeId: string, body: RetryBody): Promise<Signal<DeploymentView>> {
  return followDeployment(await call<DeploymentView>("POST", `nodes/${nodeId}/redeploy`, { body }));
}

export async function confirmHostKey(id: string, fingerprint: string): Promise<void> {
  followDeployment(await call<DeploymentView>("POST", `deployments/${id}/host-key`, { body: { fingerprint } }));
}

export const loadDeployment = async (id: string): Promise<Signal<DeploymentView>> => followDeployment(await call<DeploymentView>("GET", `deployments/${id}`));

export async function cancelDeployment(id: string): Promise<void> {
  noteDeployment(await call<DeploymentView>("POST", `deployments/${id}/cancel`));
}

export async function retryDeployment(id: string, body: RetryBody): Promise<Signal<DeploymentView>> {
  return followDeployment(await call<DeploymentView>("POST", `deployments/${id}/retry`, { body }));
}

/** The last server that was added over SSH; undefined = none among the latest deployments. */
export async function loadLastInstall(): Promise<DeploymentView | undefined> {
  const { deployments } = await call<DeploymentsView>("GET", "deployments", { query: { limit: "100" } });
  return deployments.find(({ kind, state, again }) => kind === "install" && state === "succeeded" && !again);
}
