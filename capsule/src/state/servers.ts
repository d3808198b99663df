/** Several servers in one request: parse a list, submit it, load the deployments, confirm and retry them. Secrets are passed on and not stored here. */

import { t } from "../core/text";
import { call } from "../wire/http";
import type { DeploymentView, ManyDeploymentsBody, NotRetriedView, RetryBody, RetryManyBody, ServerListBody } from "../wire/schema.gen";
import { withStepUp } from "./step-up";

const MAX_SERVERS = 500;

export const previewList = (body: ServerListBody) => call("POST", "deployments/preview", { body });

/** Returns the id of the batch; with a key that was used before, the batch of the earlier request. */
export async function addServers(body: ManyDeploymentsBody, key: string): Promise<string> {
  const made = await call("POST", "deployments/many", { body, idempotencyKey: key });
  return made.deployments[0]?.batch_id ?? "";
}

/** The deployments of a batch, in the order of the submitted list. */
export async function loadServers(batch: string): Promise<readonly DeploymentView[]> {
  return (await call("GET", "deployments", { query: { batch, limit: MAX_SERVERS } })).deployments.reverse();
}

export const confirmHostKeys = (shown: readonly { deployment: string; fingerprint: string }[]) =>
  withStepUp(
    () => call("POST", "deployments/host-keys", { body: { host_keys: [...shown] } }),
    t`Enter your password to confirm these fingerprints.`,
  );

export const tryAgain = (id: string, body: RetryBody = {}) =>
  withStepUp(() => call("POST", `deployments/${id}/retry`, { body }), t`Enter your password to retry the deployment.`);

/** Retries deployments with one log-in for all of them; without `credentials` with those that the hub still has. Returns those that were refused. */
export async function tryAllAgain(
  ids: readonly string[],
  credentials: Omit<RetryManyBody, "deployments"> = {},
): Promise<readonly NotRetriedView[]> {
  const answer = await withStepUp(
    () => call("POST", "deployments/retry", { body: { deployments: [...ids], ...credentials } }),
    t`Enter your password to retry the deployments.`,
  );
  return answer.refused;
}
