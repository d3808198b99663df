/** What was typed about a server. Lives in the open dialog only: never in the URL, in storage or in a signal. */

import type { DeploymentBody, RetryBody } from "../../state/types";

export interface Entries {
  host: string;
  port: string;
  username: string;
  name: string;
  tags: readonly string[];
  key: string;
  keyName: string;
  passphrase: string;
  password: string;
  sudoPassword: string;
  keep: boolean;
  installPython: boolean;
  policy: NonNullable<DeploymentBody["policy"]>;
}

export const NO_ENTRIES: Entries = {
  host: "", port: "22", username: "", name: "", tags: [], key: "", keyName: "", passphrase: "", password: "", sudoPassword: "", keep: true, installPython: false, policy: "managed",
}; // prettier-ignore

/** What is wrong with them, by field; empty = nothing. */
export function faults(entries: Entries): Partial<Record<keyof Entries, string>> {
  const found: Partial<Record<keyof Entries, string>> = {};
  const port = Number(entries.port);
  if (!entries.host.trim()) found.host = "Give the server’s name or address.";
  else if (/[\s/@]/.test(entries.host.trim())) found.host = "Only the name or address; user and port have their own fields.";
  if (!/^\d+$/.test(entries.port.trim()) || port < 1 || port > 65535) found.port = "1 to 65535";
  if (!entries.username.trim()) found.username = "Give the user to sign in as.";
  if (!entries.key.trim() && !entries.password) found.key = "Give a private key, or a password below.";
  return found;
}

export function bodyOf(entries: Entries): DeploymentBody {
  return {
    host: entries.host.trim(),
    port: Number(entries.port),
    username: entries.username.trim(),
    ...(entries.key.trim() ? { private_key: entries.key.endsWith("\n") ? entries.key : `${entries.key}\n` } : {}),
    ...(entries.passphrase ? { passphrase: entries.passphrase } : {}),
    ...(entries.password ? { password: entries.password } : {}),
    ...(entries.sudoPassword ? { sudo_password: entries.sudoPassword } : {}),
    ...(entries.name.trim() ? { name: entries.name.trim() } : {}),
    ...(entries.tags.length ? { tags: [...entries.tags] } : {}),
    keep_credentials: entries.keep,
    install_python: entries.installPython,
    policy: entries.policy,
  };
}

/** The connection alone: for a removal whose credentials were not kept. */
export function credentialsOf(entries: Entries): RetryBody {
  const { host, port, username, private_key, passphrase, password, sudo_password } = bodyOf(entries);
  return { host, port, username, private_key, passphrase, password, sudo_password };
}
