/** What keeps the agent itself up: its version and its keys, through its live session. */

import { call } from "../wire/http";
import type { DeploymentsView, DeploymentView, JobView } from "../wire/schema.gen";
import { followDeployment } from "./deployments";
import { noteJob } from "./jobs";
import { withStepUp } from "./step-up";

/** Orders the hub's own version of the agent for one node; its end is told. */
export async function updateAgent(node: string): Promise<DeploymentView | undefined> {
  const answer = await withStepUp(() => call<DeploymentsView>("POST", "agent-updates", { body: { nodes: [node] } }));
  const one = answer.deployments[0];
  if (one) followDeployment(one);
  return one;
}

/** Orders the next generation of a node's keys; who gives the order asks for the password where the hub wants it. */
export async function renewKeys(node: string, key: string): Promise<JobView> {
  const job = await call<JobView>("POST", `nodes/${node}/rekey`, { idempotencyKey: key });
  noteJob(job);
  return job;
}
