/** Agent maintenance through the live session: the agent's version and its keys. */

import { t } from "../core/text";
import { call } from "../wire/http";
import type { DeploymentView, JobView } from "../wire/schema.gen";
import { followDeployment } from "./deployments";
import { noteJob } from "./jobs";
import { withStepUp } from "./step-up";

/** Updates the agent of one node to the hub's version. A toast reports the end. Undefined = the hub started no update. */
export async function updateAgent(node: string): Promise<DeploymentView | undefined> {
  const answer = await withStepUp(
    () => call("POST", "agent-updates", { body: { nodes: [node] } }),
    t`Enter your password to update an agent.`,
  );
  const one = answer.deployments[0];
  if (one) followDeployment(one);
  return one;
}

/** Replaces a node's keys. If the hub requires the password, the caller asks for it. */
export async function renewKeys(node: string, key: string): Promise<JobView> {
  const job = await call("POST", `nodes/${node}/rekey`, { idempotencyKey: key });
  noteJob(job);
  return job;
}
