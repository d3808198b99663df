/**
 * One deployment or removal: start, confirm the host key, cancel, retry.
 *
 * Secrets are passed on and not stored here. If the hub requires the password, the caller asks for it.
 */

import { named } from "./organisation";
import type { Signal } from "@preact/signals";
import { call, url } from "../wire/http";
import type { DeploymentBody, DeploymentView, RedeployedView, RedeployManyBody, RetryBody } from "../wire/schema.gen";
import { followDeployment, noteDeployment } from "./deployments";

/** Starts a deployment. With a key that was used before, returns the deployment of the earlier request. */
export async function startDeployment(body: DeploymentBody, key: string): Promise<Signal<DeploymentView>> {
  return followDeployment(await call("POST", "deployments", { body, idempotencyKey: key }));
}

/** Starts the removal of a node, or returns the removal that is running already. */
export async function removeNode(nodeId: string, body: RetryBody, force: boolean): Promise<Signal<DeploymentView>> {
  const query = force ? { force: "true" } : {};
  return followDeployment(await call("DELETE", `nodes/${nodeId}`, { body, query }));
}

/** The URL of a node's whole history as a file, one row for each minute. */
export const historyUrl = (nodeId: string): string => url(`nodes/${nodeId}/export`, { tier: "1m", ...named() });

/** Deploys to a node's server again, or returns the deployment that is running already. */
export async function redeployNode(nodeId: string, body: RetryBody): Promise<Signal<DeploymentView>> {
  return followDeployment(await call("POST", `nodes/${nodeId}/redeploy`, { body }));
}

/** Deploys to the servers of many nodes again. A node that is being deployed to already has the running deployment in the answer. */
export async function redeployNodes(body: RedeployManyBody): Promise<RedeployedView> {
  return call("POST", "deployments/again", { body });
}

export async function confirmHostKey(id: string, fingerprint: string): Promise<void> {
  followDeployment(await call("POST", `deployments/${id}/host-key`, { body: { fingerprint } }));
}

export const loadDeployment = async (id: string) => followDeployment(await call("GET", `deployments/${id}`));

export async function cancelDeployment(id: string): Promise<void> {
  noteDeployment(await call("POST", `deployments/${id}/cancel`));
}

export async function retryDeployment(id: string, body: RetryBody): Promise<Signal<DeploymentView>> {
  return followDeployment(await call("POST", `deployments/${id}/retry`, { body }));
}

/** The last deployment that added a server; undefined = none among the latest deployments. */
export async function loadLastInstall(): Promise<DeploymentView | undefined> {
  const { deployments } = await call("GET", "deployments", { query: { limit: "100" } });
  return deployments.find(({ kind, state, again }) => kind === "install" && state === "succeeded" && !again);
}
