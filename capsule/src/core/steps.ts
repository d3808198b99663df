/** Words for the steps and failures of a deployment. */

export const STEP_TITLES: Record<string, string> = {
  connect: "Reach the server",
  host_key: "Check the host key",
  authenticate: "Sign in",
  become_root: "Become root",
  probe: "Check the system",
  upload: "Copy Spider",
  install: "Install the service",
  start: "Start the service",
  verify: "Wait for the first sample",
  stop: "Stop the service",
  uninstall: "Remove files and user",
  wipe: "Forget the credentials",
};

export function stepTitle(name: string, kind = "install"): string {
  if (name === "verify" && kind === "remove") return "Check that nothing is left";
  return STEP_TITLES[name] ?? name.replaceAll("_", " ");
}

export type FixField = "host" | "port" | "username" | "private_key" | "passphrase" | "password" | "sudo_password" | "install_python" | "name" | null;

const FIXES: Record<string, FixField> = {
  host_unknown: "host",
  target_not_allowed: "host",
  unreachable: "host",
  connect_timeout: "host",
  port_closed: "port",
  not_ssh: "port",
  key_unreadable: "private_key",
  key_is_public: "private_key",
  key_putty: "private_key",
  key_hardware: "private_key",
  key_too_slow: "private_key",
  key_type: "private_key",
  key_weak: "private_key",
  key_rejected: "private_key",
  no_credentials: "private_key",
  key_encrypted: "passphrase",
  key_passphrase_wrong: "passphrase",
  password_rejected: "password",
  no_shell: "username",
  no_sudo: "username",
  not_in_sudoers: "username",
  sudo_password_required: "sudo_password",
  sudo_password_wrong: "sudo_password",
  sudo_other_password: "sudo_password",
  no_python3: "install_python",
  python3_old: "install_python",
  python3_incomplete: "install_python",
  name_taken: "name",
};

/** The one field that mends a failure, so that it can be asked for beside the sentence; null = only trying again. */
export const fixFor = (code: string): FixField => FIXES[code.replace(/^.*\./, "")] ?? null;

const UNTOUCHED = ["connect", "host_key", "authenticate", "become_root", "probe"];

/** What the failure of an installation left on the server. */
export const leftBehind = (step: string): string => (UNTOUCHED.includes(step) ? "Nothing was changed on the server." : "What was done on the server has been undone.");
