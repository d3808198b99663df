/** What was typed about a server. Lives in the open dialog, and without its secrets in `draft`: never in the URL, in storage or in a signal. */

import { t } from "../../core/text/i18n";
import type { DeploymentBody, JumpBody, RetryBody, ServerListView } from "../../state/types";

export interface ConnectionForm {
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
  certificate: string;
  proxy: string;
  jump: JumpForm | null;
}

/** Another server on the way (`ssh -J`). */
export interface JumpForm {
  host: string;
  port: string;
  username: string;
  /** What opens it: the same as for the server, or something of its own. */
  by: "same" | "password" | "key";
  password: string;
  key: string;
  keyName: string;
  passphrase: string;
}

export const EMPTY_JUMP: JumpForm = { host: "", port: "22", username: "", by: "same", password: "", key: "", keyName: "", passphrase: "" };

export const EMPTY_CONNECTION: ConnectionForm = {
  host: "", port: "22", username: "", name: "", tags: [], key: "", keyName: "", passphrase: "", password: "", sudoPassword: "", keep: true, installPython: false, policy: "managed", certificate: "", proxy: "", jump: null,
}; // prettier-ignore

/** A list of servers, and what is the same for all of them. It is no place for secrets, but somebody may paste one. */
export interface ListForm {
  text: string;
  format: "auto" | ServerListView["format"];
  entries: ConnectionForm;
}

export const EMPTY_LIST: ListForm = { text: "", format: "auto", entries: EMPTY_CONNECTION };

/** What is wanted of a server that joins by itself. */
export interface CommandForm {
  name: string;
  tags: readonly string[];
  policy: "managed" | "readonly" | "monitor";
  proxy: string;
}

export const EMPTY_COMMAND: CommandForm = { name: "", tags: [], policy: "managed", proxy: "" };

/** Whether two of them say the same. */
export const sameForm = (typed: object, before: object): boolean => JSON.stringify(typed) === JSON.stringify(before);

export type FormErrors = Partial<Record<keyof ConnectionForm | "jumpHost" | "jumpPort" | "jumpUser" | "jumpSecret", string>>;

const hostFault = (host: string, missing: string): string => {
  if (!host.trim()) return missing;
  return /[\s/@]/.test(host.trim()) ? t`Only the name or address; user and port have their own fields.` : "";
};
const portFault = (port: string): string => (/^\d{1,5}$/.test(port.trim()) && Number(port) >= 1 && Number(port) <= 65535 ? "" : t`1 to 65535`);
const told = (found: FormErrors): FormErrors => Object.fromEntries(Object.entries(found).filter(([, words]) => words));

/** What is wrong with a jump host; empty = nothing. */
export function jumpErrors(jump: JumpForm | null): FormErrors {
  if (!jump) return {};
  return told({
    jumpHost: hostFault(jump.host, t`Enter the jump host’s name or address.`),
    jumpPort: portFault(jump.port),
    jumpSecret: jump.by === "password" && !jump.password ? t`Enter its password.` : jump.by === "key" && !jump.key.trim() ? t`Enter its private key.` : "",
  });
}

/** For a server that is known: `port` empty = the one by which it was reached. */
export const knownHostForm = (host: string): ConnectionForm => ({ ...EMPTY_CONNECTION, host, port: "" });

/** What is wrong with the entries, by field; empty = nothing. `known`: the hub knows the port. */
export function formErrors(entries: ConnectionForm, known = false): FormErrors {
  return {
    ...told({
      host: hostFault(entries.host, t`Enter the server’s name or address.`),
      port: known && !entries.port.trim() ? "" : portFault(entries.port),
      username: entries.username.trim() ? "" : t`Enter the user to sign in as.`,
      key: !entries.key.trim() && !entries.password ? t`Enter a private key, or a password below.` : "",
    }),
    ...jumpErrors(entries.jump),
  };
}

const wholeKey = (key: string): string => (key.endsWith("\n") ? key : `${key}\n`);

function jumpBody(jump: JumpForm | null): JumpBody | null {
  if (!jump) return null;
  return {
    host: jump.host.trim(),
    port: Number(jump.port),
    ...(jump.username.trim() ? { username: jump.username.trim() } : {}),
    ...(jump.by === "password" ? { password: jump.password } : {}),
    ...(jump.by === "key" ? { private_key: wholeKey(jump.key), ...(jump.passphrase ? { passphrase: jump.passphrase } : {}) } : {}),
  };
}

export function deploymentBody(entries: ConnectionForm): DeploymentBody {
  return {
    host: entries.host.trim(),
    port: Number(entries.port),
    username: entries.username.trim(),
    ...(entries.key.trim() ? { private_key: wholeKey(entries.key) } : {}),
    ...(entries.key.trim() && entries.certificate.trim() ? { certificate: entries.certificate.trim() } : {}),
    ...(entries.passphrase ? { passphrase: entries.passphrase } : {}),
    ...(entries.password ? { password: entries.password } : {}),
    ...(entries.sudoPassword ? { sudo_password: entries.sudoPassword } : {}),
    ...(entries.name.trim() ? { name: entries.name.trim() } : {}),
    ...(entries.tags.length ? { tags: [...entries.tags] } : {}),
    keep_credentials: entries.keep,
    install_python: entries.installPython,
    policy: entries.policy,
    ...(entries.proxy.trim() ? { proxy: entries.proxy.trim() } : {}),
    jump: jumpBody(entries.jump),
  };
}

/** What may outlive the dialog; NO_ENTRIES where nothing is left of it. How the jump host is opened stays: without its secret it is asked for again, where the server's would be sent to it otherwise. */
export function withoutSecrets(entries: ConnectionForm): ConnectionForm {
  const { key, keyName, passphrase, password, sudoPassword, certificate } = EMPTY_CONNECTION;
  const { jump } = entries;
  const left = { ...entries, key, keyName, passphrase, password, sudoPassword, certificate, jump: jump && { ...EMPTY_JUMP, host: jump.host, port: jump.port, username: jump.username, by: jump.by } };
  return sameForm(left, EMPTY_CONNECTION) ? EMPTY_CONNECTION : left;
}

/** Keys and passwords as they were typed: another host or port gets none that is not given in the same call. */
export function signInBody(entries: ConnectionForm): RetryBody {
  const { private_key, passphrase, password, sudo_password, certificate } = deploymentBody(entries);
  return { private_key, passphrase, password, sudo_password, certificate };
}

/** With what another try gave in the place of what was typed first. */
export function afterRetry(entries: ConnectionForm, body: RetryBody): ConnectionForm {
  const { host, port, username, name, private_key, passphrase, certificate, password, sudo_password, install_python, jump } = body;
  const other = private_key != null && private_key !== wholeKey(entries.key); // what belonged to the first key does not belong to this one
  return {
    ...entries,
    host: host ?? entries.host,
    port: port == null ? entries.port : String(port),
    username: username ?? entries.username,
    name: name ?? entries.name,
    key: private_key ?? entries.key,
    keyName: other ? "" : entries.keyName,
    passphrase: passphrase ?? (other ? "" : entries.passphrase),
    certificate: certificate ?? (other ? "" : entries.certificate),
    password: password ?? entries.password,
    sudoPassword: sudo_password ?? entries.sudoPassword,
    installPython: install_python ?? entries.installPython,
    jump: jump === null ? null : entries.jump,
  };
}

/** The connection alone, to a server that is known: the port only if it was typed. */
export function credentialsBody(entries: ConnectionForm): RetryBody {
  const { host, port, username } = deploymentBody(entries);
  return { host, ...(entries.port.trim() ? { port } : {}), username, ...signInBody(entries) };
}

/** Why the hub asks for what opens a server once more, by its refusal `credentials_required`. */
export const changedKeyReason = (facts: Readonly<Record<string, unknown>>): string =>
  Array.isArray(facts["dropped"])
    ? t`This is a different server, or it should show a different host key. Nothing entered for the previous one is sent there: enter a key or a password for this one.`
    : t`No credentials are stored for this server: enter a key or a password.`;
