"""All errors of a deployment: a closed table of codes, each with one sentence that names the remedy."""

from __future__ import annotations

from typing import Final

from majortom.interfaces import DeployError, StepName
from spider.wire.text import UNSEEN_CHAR

MESSAGES: Final[dict[str, str]] = {
    # -- reaching the server -------------------------------------------------------------
    "host_unknown": "The name {host} cannot be resolved: check how it is spelled, or use the address.",
    "target_not_allowed": "Deployments to {host} are not allowed: {why}.",
    "port_closed": "{host} answers, but nothing listens on port {port}: start sshd there, or give the port it listens on.",
    "unreachable": "{host} cannot be reached ({why}): check the address and the network between.",
    "connect_timeout": "{host} did not answer on port {port} within {seconds} seconds: check the address, the firewall and that the server is up.",
    "not_ssh": "What answers on {host} port {port} is not an SSH server: give the port of sshd.",
    "ssh_refused": "The SSH server on {host} closed the connection ({why}): it may limit connections; try again in {when}.",
    "no_common_algorithm": "The SSH server on {host} offers no {what} that is safe and known here, but only {offered}: allow another one in its sshd_config, or update its sshd.",
    "no_strict_kex": "The SSH server on {host} offers only {cipher} and no strict key exchange, which an attacker on the network can exploit (CVE-2023-48795): update its sshd, or allow an AES cipher there.",
    "jump_failed": "The jump host could not reach {host} port {port} ({why}): check the address as the jump host sees it, and that its sshd allows TCP forwarding.",
    # -- its host key --------------------------------------------------------------------
    "host_key_unconfirmed": "The host key of {host} was not confirmed: compare the fingerprint with the server's and try again.",
    "host_key_changed": "{host} shows the host key {shown}, not {known} as before: if the server was not reinstalled, somebody intercepts the connection.",
    "host_key_unexpected": "{host} shows the host key {shown}, not {expected} as given: check the fingerprint, and that this is the right server.",
    "host_key_weak": "The host key of {host} is RSA with {bits} bits, fewer than 2048: make a new host key on the server.",
    # -- logging in ----------------------------------------------------------------------
    "key_too_large": "The private key has more than {limit} bytes: paste the key file alone.",
    "key_unreadable": "This is not a private key that can be read: paste the whole file, from the BEGIN line to the END line.",
    "key_is_public": "This is a public key: the private one is needed, the file of the same name without .pub.",
    "key_putty": "This is a PuTTY key: export it in PuTTYgen by Conversions, Export OpenSSH key.",
    "key_hardware": "This key lives on a security key and cannot be used by a program: use an ordinary key.",
    "key_encrypted": "The private key is encrypted and no passphrase was given: enter its passphrase.",
    "key_passphrase_wrong": "The passphrase does not open the private key: check it and try again.",
    "key_kdf_rounds": "The private key asks for {rounds} rounds of key derivation, more than {limit}: save it again with ssh-keygen -p -a 100.",
    "key_too_slow": "Reading the private key took longer than {seconds} seconds: save it again with ssh-keygen -p -a 100.",
    "key_type": "Keys of the type {type} are not used: make an Ed25519 key with ssh-keygen -t ed25519.",
    "key_weak": "The private key is RSA with {bits} bits, fewer than 2048: make an Ed25519 key with ssh-keygen -t ed25519.",
    "certificate_unreadable": "This is not a user certificate for this private key: paste the whole line of the file ending in -cert.pub.",
    "certificate_invalid": "The certificate cannot be used now ({why}): get a new certificate for this user.",
    "certificate_rejected": "The server does not let {user} in with this certificate ({limits}): get one whose principals include {user} and that allows the hub's address, and check that the server trusts its authority (TrustedUserCAKeys).",
    "no_credentials": "Neither a private key nor a password was given: give one of them.",
    "key_rejected": "The server does not let {user} in with this key: put its public half into ~{user}/.ssh/authorized_keys, or use another key or user.",
    "password_rejected": "The server does not let {user} in with this password: check the user name and the password, or use a key.",
    "second_factor": "The server asks {user} for more than the {given} ({asks}), which is not supported: allow this account to log in with the {given} alone, for instance by a Match block in its sshd_config.",
    "method_off": "The server takes no {given} from {user}: allow that in its sshd_config ({setting}), or log in by another way.",
    "account_refused": "The server ended the log-in of {user} after the {given} ({why}): the account may have expired, or log-ins may be barred there (/run/nologin); look at sshd's log there.",
    "password_expired": "The password of {user} has expired ({why}): log in there by hand and set a new one, then try again.",
    "login_timeout": "The server accepted the connection but not the log-in within {seconds} seconds: look at sshd's log there.",
    "login_as": "The server does not let {user} in and says to log in as {other}: give {other} as the user name.",
    "no_shell": "The account {user} does not give a usable shell ({why}): use an account with an ordinary shell.",
    # -- becoming root -------------------------------------------------------------------
    "no_sudo": "Neither sudo nor doas is installed and {user} is not root: install one there, or log in as root.",
    "not_in_sudoers": "{user} may not use sudo on this server: add the user to the sudoers, or log in as another user.",
    "sudo_password_required": "sudo asks for a password and none was given: enter the sudo password of {user}.",
    "sudo_password_wrong": "sudo did not accept the password: enter the sudo password of {user}.",
    "sudo_other_password": "sudo on this server asks for the password of {whose}, not of {user}: enter that password, or log in as root.",
    "sudo_requires_tty": "sudo on this server needs a terminal (requiretty): remove that line from the sudoers, or log in as root.",
    "doas_refused": "doas does not let {user} become root ({why}): permit the user in doas.conf, or log in as root.",
    "doas_password_required": "doas asks for a password and none was given: enter the password of {user} as the sudo password.",
    "doas_password_wrong": "doas did not accept the password: enter the password of {user} as the sudo password.",
    "sudo_failed": "sudo did not give root ({why}): look at the sudoers on the server, or log in as root.",
    # -- the state of the server ---------------------------------------------------------
    "probe_failed": "The server could not be inspected ({why}): log in there by hand and check that its shell works.",
    "not_linux": "The server runs {kernel}, and the agent needs Linux.",
    "macos": "The server runs macOS, where nothing is installed over SSH: run the one-line command of an invite in its terminal instead (docs/macos.md).",
    "nixos": "The server runs NixOS, whose configuration makes its services, so nothing was changed: import majortom/nix/nixos.nix there, set services.stardust-spider.enable and an inviteFile with an invite of this hub (docs/nixos.md).",
    "no_systemd": "The server runs neither systemd nor OpenRC, and the agent needs one of them.",
    "systemd_old": "The server has systemd {version}, and 239 or newer is needed: update the system.",
    "systemd_stopping": "The server is shutting down: try again when it is up.",
    "no_python3": "The server has no python3: install it there, or choose “Install Python” (install_python) so that it is done for you.",
    "python3_old": "The server's python3 is {version}, and 3.8 or newer is needed: install a newer one beside it, or choose “Install Python” (install_python).",
    "python3_incomplete": "The server's python3 lacks parts of the standard library ({missing}): install the full python3 package, or choose “Install Python” (install_python).",
    "no_package_manager": "There is no package manager here that can install python3: install it by hand.",
    "python3_install_failed": "The server's package manager could not install python3 ({why}): install it by hand and try again.",
    "tool_missing": "The server lacks {tools}, needed to install: install {tools} there.",
    "no_space": "{path} on the server has {free} free, and {needed} are needed: make room there.",
    "read_only": "{path} on the server cannot be written, but the installation must write there.",
    "closed_to_spider": "The account stardust may not use {path} on the server, which has the mode {mode}: allow that there with chmod o+{needed} {path}.",
    "already_installed": "Stardust is already on this server ({what}): remove it there first.",
    "name_in_use": "The server already has a {what} named stardust that is not ours: rename or remove it.",
    "job_running": "A job is running on this server: wait for its end, or cancel it, and try again.",
    "hub_unreachable": "The server cannot reach Ground Control at {url} ({why}): allow that connection, or correct the hub's address (--lan or --server-url).",
    # -- the installation ----------------------------------------------------------------
    "upload_failed": "The files could not be copied to the server ({why}): check that /tmp has room.",
    "upload_damaged": "The files arrived damaged on the server: try again.",
    "install_failed": "Installing failed ({why}).",
    "policy_differs": "The owner's policy file on {host} says something else than this request, and nothing was changed: compare both texts, and repeat with credentials and policy_seen, or without the fields of the policy.",
    "policy_unreadable": "The owner's policy file on {host} is no plain text that the hub can read, so it stays: change it there, or repeat without the fields of the policy.",
    "policy_changed": "Somebody changed the policy file on the server meanwhile, and it stays: look at the difference again.",
    "start_failed": "The agent did not start on the server ({why}).",
    "rolled_back": "The server has undone the installation by itself, because no further step came in time: try again.",
    "no_session": "The agent runs on the server but did not come back to Ground Control at {url} within {seconds} seconds ({why}).",
    "uninstall_failed": "Not everything could be removed from the server: {left}.",
    "no_farewell": "{name} accepted the order to remove the agent, but did not report within {minutes} minutes that nothing is left: look there with journalctl -u stardust-uninstall, under OpenRC in /var/log/stardust-launcher.log as long as that is there; then press Retry, remove it with credentials, or forget it.",
    # -- at the hub ----------------------------------------------------------------------
    "name_taken": "A node named {name} exists already: give this one another name.",
    "hub_failed": "Ground Control could not continue ({why}): look at its log, then try again.",
    "hub_stopped": "Ground Control was stopped {how_far}.",
    # -- the connection and the time limits ----------------------------------------------
    "connection_lost": "The connection to the server was lost: try again.",
    "max_sessions": "The SSH server allows no further session on one connection ({why}): set MaxSessions in its sshd_config to 1 or more.",
    "interrupted": "The deployment was stopped before its end.",
    "step_timeout": "The step took longer than {seconds} seconds: look at the load of the server and try again.",
    "deadline": "The deployment took longer than {minutes} minutes: look at the load of the server and try again.",
    "busy": "Another installation or removal is at work on this server: wait for its end.",
}  # fmt: skip
"""Code -> sentence. A code is public: it is never renamed and never reused."""

REPORTED: Final = frozenset(
    {
        "already_installed", "busy", "install_failed", "job_running", "name_in_use", "policy_changed", "python3_install_failed",
        "rolled_back", "start_failed", "upload_damaged",
    }
)  # fmt: skip
"""The codes that our scripts may report from a server. Their sentences need at most one value: the reported text."""


def failure(code: str, step: StepName, **values: object) -> DeployError:
    """Make the error of this code. `values` fill its sentence; they are shown, so they must not contain secrets."""
    return DeployError(code, MESSAGES[code].format(**{name: one_line(str(value)) for name, value in values.items()}), step)


def one_line(text: str, limit: int = 200) -> str:
    """Make foreign text fit into a sentence: printable, on one line, and at most `limit` characters long."""
    clean = " ".join("".join(char if char.isprintable() else " " for char in UNSEEN_CHAR.sub(" ", text)).split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
