/** By which way a node is removed, as the hub chooses it. */

import { policyRefusal } from "../jobs/batch";
import { t } from "../text/i18n";

interface NodeLike {
  state: string;
  credentials_kept: boolean;
  policy: { mode: string; verbs: readonly string[] } | null;
}

/** ssh: with the credentials that are kept. session: through its connection. ask: neither is there, credentials are needed. */
export type RemovalMethod = "ssh" | "session" | "ask";

export function removalMethod(node: NodeLike): RemovalMethod {
  if (node.credentials_kept) return "ssh";
  return node.state === "online" && !policyRefusal(node.policy, "uninstall") ? "session" : "ask";
}

export const REMOVAL_TEXTS: Record<RemovalMethod, string> = {
  ssh: t`Ground Control signs in with the stored credentials and uninstalls Spider: its service, files, user and keys.`,
  session: t`No credentials are stored, so the request goes over Spider’s own connection, and root on the server uninstalls it: its service, files, user and keys.`,
  ask: t`Spider is uninstalled from the server: its service, files, user and keys.`,
};

/** Whether a removal that is done was one: somebody saw that nothing is left. Otherwise the node was only forgotten, and nobody looked. */
export const removalVerified = (steps: readonly { name: string; state: string }[]): boolean => steps.some(({ name, state }) => name === "verify" && state === "done");

interface DeploymentLike {
  kind: string;
  node_id: string | null;
  ended_at: number | null;
}

/** The removal of this node that is what became of an order: it is under way, or has ended since the order was sent. One that ended before is another. */
export const removalSince = <D extends DeploymentLike>(deployments: readonly D[], node: string, sentAt: number): D | undefined =>
  deployments.find((one) => one.kind === "remove" && one.node_id === node && (one.ended_at === null || one.ended_at >= sentAt));

/** Why credentials are asked for. */
export function credentialsReason(node: NodeLike): string {
  if (node.state !== "online") return t`No credentials are stored for this server, and it is not connected.`;
  return `${t`No credentials are stored for this server.`} ${policyRefusal(node.policy, "uninstall")}`.trim();
}
