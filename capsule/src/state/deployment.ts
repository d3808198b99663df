/** One deployment or removal: start, confirm the host key, cancel, retry. Secrets pass through and are not kept here; who gives an order asks for the password where the hub wants it. */

import type { Signal } from "@preact/signals";
import { call, url } from "../wire/http";
import type { DeploymentBody, DeploymentView, RetryBody } from "../wire/schema.gen";
import { followDeployment, noteDeployment } from "./deployments";

/** With the key of an earlier one it is that one, however often it is asked for. */
export async function startDeployment(body: DeploymentBody, key: string): Promise<Signal<DeploymentView>> {
  return followDeployment(await call<DeploymentView>("POST", "deployments", { body, idempotencyKey: key }));
}

/** A removal that runs already is given back. */
export async function removeNode(nodeId: string, body: RetryBody, force: boolean): Promise<Signal<DeploymentView>> {
  const query = force ? { force: "true" } : {};
  return followDeployment(await call<DeploymentView>("DELETE", `nodes/${nodeId}`, { body, query }));
}

/** Everything that is kept of a node, a line for each minute, as a file. */
export const historyUrl = (nodeId: string): string => url(`nodes/${nodeId}/export`, { tier: "1m" });

/** In the place of whatever Spider the node's server has; one that runs already is given back. */
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
