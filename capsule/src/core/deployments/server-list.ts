/** Lists of servers to add: the valid rows, the fingerprints that wait for confirmation, and the status of each server. */

import { t } from "../text";
import type { DeploymentView } from "../../wire/schema.gen";

interface Row {
  username: string | null;
  problems: readonly unknown[];
}

/** good: rows without a problem. bad: the number of other rows. nameless: the number of good rows that lack a user, while `username` is empty. */
export function splitRows<T extends Row>(rows: readonly T[], username: string): { good: T[]; bad: number; nameless: number } {
  const good = rows.filter((row) => !row.problems.length);
  const nameless = username.trim() ? 0 : good.filter((row) => row.username === null).length;
  return { good, bad: rows.length - good.length, nameless };
}

interface Address {
  host: string;
  port: number;
  username?: string | null;
}

/** An address for people: IPv6 in brackets, without port 22. */
export function addressText({ host, port, username = null }: Address): string {
  const where = host.split(":").length > 2 ? `[${host}]` : host;
  return `${username ? `${username}@` : ""}${where}${port === 22 ? "" : `:${port}`}`;
}

type HostKeyHolder = Pick<DeploymentView, "id" | "host" | "port" | "name" | "host_key"> & { state: string };

/** Whether the shown key belongs to a jump host: the host or port of the key is not that of the server. */
export const isJumpHostKey = ({ host, port, host_key: key }: Pick<HostKeyHolder, "host" | "port" | "host_key">): boolean =>
  key !== null && (key.host !== host || key.port !== port);

export interface PendingHostKey {
  fingerprint: string;
  type: string;
  /** The host that has this key. */
  where: string;
  /** Whether the key belongs to a jump host, through which all of `ids` are reached. */
  jump: boolean;
  ids: string[];
}

/** The fingerprints that wait for confirmation, jump hosts first. A jump host is listed once for all servers behind it. */
export function pendingHostKeys(rows: readonly HostKeyHolder[]): PendingHostKey[] {
  const found = new Map<string, PendingHostKey>();
  for (const row of rows) {
    const { id, host, port, name, state, host_key: key } = row;
    if (state !== "awaiting_host_key" || !key) continue;
    const jump = isJumpHostKey(row);
    const where = jump ? addressText(key) : name && name !== host ? `${name}, ${addressText({ host, port })}` : addressText({ host, port });
    const groupKey = jump ? `jump:${where} ${key.fingerprint}` : id;
    const known = found.get(groupKey);
    if (known) known.ids.push(id);
    else found.set(groupKey, { fingerprint: key.fingerprint, type: key.type, where, jump, ids: [id] });
  }
  return [...found.values()].sort((a, b) => Number(b.jump) - Number(a.jump));
}

export type ServerGroup = "failed" | "asks" | "open" | "done" | "other";
export const SERVER_GROUPS: readonly ServerGroup[] = ["failed", "asks", "open", "done", "other"];
export const SERVER_GROUP_LABELS: Record<ServerGroup, string> = {
  failed: t`failed`,
  asks: t`waiting for you`,
  open: t`in progress`,
  done: t`connected`,
  other: t`cancelled`,
};

export function serverGroupOf(state: string): ServerGroup {
  switch (state) {
    case "succeeded":
      return "done";
    case "failed":
      return "failed";
    case "awaiting_host_key":
      return "asks";
    case "running":
      return "open";
    default:
      return "other";
  }
}

export function countServers(rows: readonly { state: string }[]): Record<ServerGroup, number> {
  const found: Record<ServerGroup, number> = { failed: 0, asks: 0, open: 0, done: 0, other: 0 };
  for (const { state } of rows) found[serverGroupOf(state)] += 1;
  return found;
}
