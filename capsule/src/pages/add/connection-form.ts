/** The input of the connection forms, its errors, and the request bodies made from it. Secrets exist only in the open dialog; `draft.ts` stores the rest. */

import { policyLines, type PolicyWishes } from "../../core/deployments/policy-wishes";
import { t } from "../../core/text";
import type { DeploymentBody, DeploymentView, JumpBody, PolicyView, RetryBody, ServerListView } from "../../state/types";

/** How the hub signs in: with a private key, a password, or its own SSH key. */
export type SignInWay = "key" | "password" | "hub";

export interface ConnectionForm extends PolicyWishes {
  host: string;
  port: string;
  username: string;
  name: string;
  tags: readonly string[];
  /** How the hub signs in. Only the fields of this way are sent. */
  by: SignInWay;
  key: string;
  keyName: string;
  passphrase: string;
  password: string;
  sudoPassword: string;
  keep: boolean;
  installPython: boolean;
  certificate: string;
  proxy: string;
  jump: JumpForm | null;
}

/** A jump host (`ssh -J`). */
export interface JumpForm {
  host: string;
  port: string;
  username: string;
  /** Whether the jump host has the same credentials as the server, or its own password or key. */
  by: "same" | "password" | "key";
  password: string;
  key: string;
  keyName: string;
  passphrase: string;
}

export const EMPTY_JUMP: JumpForm = { host: "", port: "22", username: "", by: "same", password: "", key: "", keyName: "", passphrase: "" };

export const EMPTY_CONNECTION: ConnectionForm = {
  host: "",
  port: "22",
  username: "",
  name: "",
  tags: [],
  by: "key",
  key: "",
  keyName: "",
  passphrase: "",
  password: "",
  sudoPassword: "",
  keep: true,
  installPython: false,
  policy: "managed",
  units: "",
  journal: "",
  events: "",
  certificate: "",
  proxy: "",
  jump: null,
};

/** A list of servers and their common values. A user may paste secrets into the list although they do not belong there. */
export interface ListForm {
  text: string;
  format: "auto" | ServerListView["format"];
  entries: ConnectionForm;
}

export const EMPTY_LIST: ListForm = { text: "", format: "auto", entries: EMPTY_CONNECTION };

/** The options of a server that joins by the command. */
export interface CommandForm extends PolicyWishes {
  name: string;
  tags: readonly string[];
  proxy: string;
}

export const EMPTY_COMMAND: CommandForm = { name: "", tags: [], policy: "managed", units: "", journal: "", events: "", proxy: "" };

/** Whether two forms have the same input. */
export const sameForm = (typed: object, before: object): boolean => JSON.stringify(typed) === JSON.stringify(before);

export type FormErrors = Partial<Record<keyof ConnectionForm | "jumpHost" | "jumpPort" | "jumpUser" | "jumpSecret", string>>;

const hostFault = (host: string, missing: string): string => {
  if (!host.trim()) return missing;
  return /[\s/@]/.test(host.trim()) ? t`Only the name or address; user and port have their own fields.` : "";
};
export const portFault = (port: string): string =>
  /^\d{1,5}$/.test(port.trim()) && Number(port) >= 1 && Number(port) <= 65535 ? "" : t`1 to 65535`;
const withoutEmpty = (found: FormErrors): FormErrors => Object.fromEntries(Object.entries(found).filter(([, words]) => words));

/** The errors of a jump host; empty = none. */
export function jumpErrors(jump: JumpForm | null): FormErrors {
  if (!jump) return {};
  return withoutEmpty({
    jumpHost: hostFault(jump.host, t`Enter the jump host’s name or address.`),
    jumpPort: portFault(jump.port),
    jumpSecret:
      jump.by === "password" && !jump.password
        ? t`Enter its password.`
        : jump.by === "key" && !jump.key.trim()
          ? t`Enter its private key.`
          : "",
  });
}

/** The errors of the credentials; empty = none. */
export function signInErrors({ by, key, password }: ConnectionForm): FormErrors {
  return withoutEmpty({
    key: by === "key" && !key.trim() ? t`Enter a private key, or choose another way.` : "",
    password: by === "password" && !password ? t`Enter the password.` : "",
  });
}

/** The form for a known server. An empty `port` stands for the port of the last connection. */
export const knownHostForm = (host: string): ConnectionForm => ({ ...EMPTY_CONNECTION, host, port: "" });

/** The errors by field; empty = none. `known`: the hub knows the port. */
export function formErrors(entries: ConnectionForm, known = false): FormErrors {
  return {
    ...withoutEmpty({
      host: hostFault(entries.host, t`Enter the server’s name or address.`),
      port: known && !entries.port.trim() ? "" : portFault(entries.port),
      username: entries.username.trim() ? "" : t`Enter the user to sign in as.`,
      ...signInErrors(entries),
    }),
    ...jumpErrors(entries.jump),
  };
}

/** The values that the next server probably shares with the last one, without secrets. */
export const likeTheLast = (last: DeploymentView): Partial<ConnectionForm> => ({
  port: String(last.port),
  username: last.username,
  tags: [...last.tags],
  policy: last.policy,
  ...(last.use_hub_key ? { by: "hub" as const } : {}),
});

/** A private key with the newline at its end, which a pasted text may lack. */
export const wholeKey = (key: string): string => (key.endsWith("\n") ? key : `${key}\n`);

export function jumpBody(jump: JumpForm): JumpBody {
  return {
    host: jump.host.trim(),
    port: Number(jump.port),
    ...(jump.username.trim() ? { username: jump.username.trim() } : {}),
    ...(jump.by === "password" ? { password: jump.password } : {}),
    ...(jump.by === "key" ? { private_key: wholeKey(jump.key), ...(jump.passphrase ? { passphrase: jump.passphrase } : {}) } : {}),
  };
}

function givenLogin({
  by,
  key,
  certificate,
  passphrase,
  password,
}: ConnectionForm): Pick<DeploymentBody, "private_key" | "certificate" | "passphrase" | "password" | "use_hub_key"> {
  if (by === "hub") return { use_hub_key: true };
  if (by === "password") return password ? { password } : {};
  if (!key.trim()) return {};
  return {
    private_key: wholeKey(key),
    ...(certificate.trim() ? { certificate: certificate.trim() } : {}),
    ...(passphrase ? { passphrase } : {}),
  };
}

/** The fields of the policy that a node reports. It does not report the accounts for events, whose line stays if it is left out. */
export const policyForm = (policy: PolicyView | null): Partial<ConnectionForm> =>
  policy === null
    ? {}
    : {
        ...(policy.mode === "managed" || policy.mode === "readonly" || policy.mode === "monitor" ? { policy: policy.mode } : {}),
        units: policy.units.join(", "),
        journal: policy.journal,
      };

export function deploymentBody(entries: ConnectionForm): DeploymentBody {
  return {
    host: entries.host.trim(),
    port: Number(entries.port),
    username: entries.username.trim(),
    ...givenLogin(entries),
    ...(entries.sudoPassword ? { sudo_password: entries.sudoPassword } : {}),
    ...(entries.name.trim() ? { name: entries.name.trim() } : {}),
    ...(entries.tags.length ? { tags: [...entries.tags] } : {}),
    keep_credentials: entries.keep,
    install_python: entries.installPython,
    policy: entries.policy,
    ...policyLines(entries),
    ...(entries.proxy.trim() ? { proxy: entries.proxy.trim() } : {}),
    jump: entries.jump && jumpBody(entries.jump),
  };
}

/**
 * The input that may be stored when the dialog closes; EMPTY_CONNECTION if nothing is left. A jump host keeps its kind of credentials, so that
 * the user must enter its secret again. If its kind became `same`, it would receive the secret of the server.
 */
export function withoutSecrets(entries: ConnectionForm): ConnectionForm {
  const { key, keyName, passphrase, password, sudoPassword, certificate } = EMPTY_CONNECTION;
  const { jump } = entries;
  const left = {
    ...entries,
    key,
    keyName,
    passphrase,
    password,
    sudoPassword,
    certificate,
    jump: jump && { ...EMPTY_JUMP, host: jump.host, port: jump.port, username: jump.username, by: jump.by },
  };
  return sameForm({ ...left, by: EMPTY_CONNECTION.by }, EMPTY_CONNECTION) ? EMPTY_CONNECTION : left; // a form in which only the kind of credentials was chosen counts as empty
}

/** The typed credentials. A retry with another host or port must include them: the hub sends stored credentials to no other server. */
export function signInBody(
  entries: ConnectionForm,
): Pick<DeploymentBody, "private_key" | "passphrase" | "password" | "sudo_password" | "certificate" | "use_hub_key"> {
  const { private_key, passphrase, password, sudo_password, certificate, use_hub_key } = deploymentBody(entries);
  return { private_key, passphrase, password, sudo_password, certificate, ...(use_hub_key ? { use_hub_key } : {}) };
}

/** The form with the values of a retry instead of the first values. The page's retries keep the jump host or remove it. */
export function afterRetry(entries: ConnectionForm, body: RetryBody): ConnectionForm {
  const { host, port, username, name, private_key, passphrase, certificate, password, sudo_password, use_hub_key, install_python, jump } =
    body;
  const other = private_key != null && private_key !== wholeKey(entries.key); // values of the first key do not belong to this one
  return {
    ...entries,
    host: host ?? entries.host,
    port: port == null ? entries.port : String(port),
    username: username ?? entries.username,
    name: name ?? entries.name,
    by: use_hub_key ? "hub" : private_key != null ? "key" : password != null ? "password" : entries.by,
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

/** The address and the credentials of a known server, with the port if it was typed. */
export function credentialsBody(entries: ConnectionForm): RetryBody {
  const { host, port, username } = deploymentBody(entries);
  return { host, ...(entries.port.trim() ? { port } : {}), username, ...signInBody(entries), ...jumpPart(entries.jump) };
}

/** The jump host, if a form asks for its credentials. Without it the server keeps the one that it had. */
export const jumpPart = (jump: JumpForm | null): Pick<RetryBody, "jump"> => (jump ? { jump: jumpBody(jump) } : {});

/** The jump host that needs its own credentials again, from the facts of the refusal `deployment.jump_credentials_required`; null = another refusal. */
export function askedJump({ jump }: Readonly<Record<string, unknown>>): JumpForm | null {
  if (typeof jump !== "object" || jump === null) return null;
  const { host, port, username } = jump as Readonly<Record<string, unknown>>;
  if (typeof host !== "string" || typeof port !== "number") return null;
  return { ...EMPTY_JUMP, host, port: String(port), username: typeof username === "string" ? username : "", by: "password" };
}

/** Why the hub requires credentials again, from the facts of its refusal `credentials_required`. */
export const missingCredentialsReason = (facts: Readonly<Record<string, unknown>>): string =>
  Array.isArray(facts["dropped"])
    ? t`This is a different server, or it should show a different host key. Nothing entered for the previous one is sent there: enter a key or a password for this one.`
    : t`No credentials are stored for this server: enter a key or a password.`;
