/** What is to be entered before many deployments are retried: the credentials of the servers, of their jump hosts, or both. */

import { isLoginRefusal } from "../../core/deployments/deploy-steps";
import type { DeploymentView, NotRetriedView } from "../../state/types";
import { askedJump, type JumpForm } from "./connection-form";

const JUMP_LACKS = "deployment.jump_credentials_required";
const LACKS: readonly string[] = ["credentials_required", JUMP_LACKS];

type Deployed = Pick<DeploymentView, "id" | "error" | "jump">;

/** A deployment that cannot be retried with what the hub has. */
export interface LackingLogin {
  row: Deployed;
  /** Whether it lacks the credentials of the server. */
  server: boolean;
  /** Whether it lacks those of its jump host. */
  jump: boolean;
}

export const isDenied = ({ error }: Deployed): boolean => error !== null && isLoginRefusal(error.code);

export const lacksLogin = ({ code }: NotRetriedView): boolean => LACKS.includes(code);

/** What those of the deployments lack whose server or jump host refused its credentials. */
export const deniedLogins = (rows: readonly Deployed[]): LackingLogin[] =>
  rows.filter(isDenied).map((row) => ({ row, server: !row.error?.at_jump_host, jump: row.error?.at_jump_host ?? false }));

/**
 * What those of the tried deployments lack that the hub refused for it. The hub asks for the jump host first, and has as little of the server then.
 * What was entered for the jump host of one that was refused is needed again.
 */
export function refusedLogins(tried: readonly { row: Deployed; jump?: boolean }[], refused: readonly NotRetriedView[]): LackingLogin[] {
  const codes = new Map(refused.filter(lacksLogin).map(({ deployment, code }) => [deployment, code]));
  return tried
    .filter(({ row }) => codes.has(row.id))
    .map(({ row, jump = false }) => ({ row, server: true, jump: jump || codes.get(row.id) === JUMP_LACKS }));
}

/** The jump hosts whose credentials are lacking, each once. */
export function lackingJumps(lacking: readonly LackingLogin[]): JumpForm[] {
  const found = new Map<string, JumpForm>();
  for (const { row, jump } of lacking) {
    const asked = jump ? askedJump({ jump: row.jump }) : null;
    if (asked && !found.has(jumpKey(asked))) found.set(jumpKey(asked), asked);
  }
  return [...found.values()];
}

export const jumpKey = ({ host, port }: Pick<JumpForm, "host" | "port">): string => `${host} ${port}`;
