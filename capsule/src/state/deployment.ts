/** One deployment or removal: start, confirm the host key, cancel, retry. Secrets pass through and are not kept here. */

import type { Signal } from "@preact/signals";
import { call, idempotencyKey, url } from "../wire/http";
import type { DeploymentBody, DeploymentView, RetryBody } from "../wire/schema.gen";
import { follow, note } from "./deployments";
import { withStepUp } from "./stepup";

export async function startDeployment(body: DeploymentBody): Promise<Signal<DeploymentView>> {
  return follow(await withStepUp(() => call<DeploymentView>("POST", "deployments", { body, idempotencyKey: idempotencyKey() })));
}

export async function removeNode(nodeId: string, body: RetryBody, force: boolean): Promise<Signal<DeploymentView>> {
  const query = force ? { force: "true" } : {};
  return follow(await withStepUp(() => call<DeploymentView>("DELETE", `nodes/${nodeId}`, { body, query, idempotencyKey: idempotencyKey() })));
}

/** Everything that is kept of a node, a line for each minute, as a file. */
export const historyUrl = (nodeId: string): string => url(`nodes/${nodeId}/export`, { tier: "1m" });

/** In the place of whatever Spider the node's server has. */
export async function redeployNode(nodeId: string, body: RetryBody): Promise<Signal<DeploymentView>> {
  return follow(await withStepUp(() => call<DeploymentView>("POST", `nodes/${nodeId}/redeploy`, { body })));
}

export async function confirmHostKey(id: string, fingerprint: string): Promise<void> {
  follow(await withStepUp(() => call<DeploymentView>("POST", `deployments/${id}/host-key`, { body: { fingerprint } })));
}

export const loadDeployment = async (id: string): Promise<Signal<DeploymentView>> => follow(await call<DeploymentView>("GET", `deployments/${id}`));

export async function cancelDeployment(id: string): Promise<void> {
  note(await call<DeploymentView>("POST", `deployments/${id}/cancel`));
}

export async function retryDeployment(id: string, body: RetryBody): Promise<Signal<DeploymentView>> {
  const one = await withStepUp(() => call<DeploymentView>("POST", `deployments/${id}/retry`, { body, idempotencyKey: idempotencyKey() }));
  return follow(one);
}
