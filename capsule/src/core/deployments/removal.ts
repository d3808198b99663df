/** The method by which the hub removes a node. */

import { policyRefusal } from "../jobs/batch";
import { t } from "../text";

interface NodeLike {
  state: string;
  credentials_kept: boolean;
  policy: { mode: string; verbs: readonly string[] } | null;
}

/**
 * ssh: with stored credentials. session: through the agent's connection. ask: the page asks for credentials, because none are stored and the
 * node is offline or its policy refuses.
 */
export type RemovalMethod = "ssh" | "session" | "ask";

export function removalMethod(node: NodeLike): RemovalMethod {
  if (node.credentials_kept) return "ssh";
  return node.state === "online" && !policyRefusal(node.policy, "uninstall") ? "session" : "ask";
}

export const REMOVAL_TEXTS: Record<RemovalMethod, string> = {
  ssh: t`Ground Control signs in with the stored credentials and uninstalls the agent: its service, files, user and keys.`,
  session: t`No credentials are stored, so the request goes over the agent’s own connection, and root on the server uninstalls the agent: its service, files, user and keys.`,
  ask: t`The agent is uninstalled from the server: its service, files, user and keys.`,
};

/** Whether a finished removal was verified on the server. Otherwise the node was only forgotten. */
export const removalVerified = (steps: readonly { name: string; state: string }[]): boolean =>
  steps.some(({ name, state }) => name === "verify" && state === "done");

interface DeploymentLike {
  kind: string;
  node_id: string | null;
  ended_at: number | null;
}

/** The removal of a node that is running or ended after the request was sent. A removal that ended earlier is of another request. */
export const removalSince = <D extends DeploymentLike>(deployments: readonly D[], node: string, sentAt: number): D | undefined =>
  deployments.find((one) => one.kind === "remove" && one.node_id === node && (one.ended_at === null || one.ended_at >= sentAt));

/** The reason why the page asks for credentials. */
export function credentialsReason(node: NodeLike): string {
  if (node.state !== "online") return t`No credentials are stored for this server, and it is not connected.`;
  return `${t`No credentials are stored for this server.`} ${policyRefusal(node.policy, "uninstall")}`.trim();
}
