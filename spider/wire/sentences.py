"""All sentences that the agent writes about a job: a closed table of codes, each with its English text.

Only the text is sent. The hub finds the code and the facts by the template that the text fits.
"""

from typing import Dict, Sequence

SENTENCES: Dict[str, str] = {
    # -- notes of a report -----------------------------------------------------------------
    "report.checks_failed": "Some checks after the job failed; the node's log says why.",
    "report.more_config_files": "{count} more configuration files are not listed.",
    "report.more_services": "{count} more services are not listed.",
    "report.more_failed_units": "{count} more failed units are not listed.",
    "report.older_config_files": "New configuration files from earlier upgrades, not applied: {names}.",
    "report.etc_too_large": "/etc is too large: not all of it was searched for new configuration files.",
    "report.old_login_services": "Still on the old version: {names}. A restart logs users out; reboot instead.",
    "report.old_init": "Process 1 still runs the old version. Reboot, or run systemctl daemon-reexec (OpenRC: reboot).",
    "report.old_agent": "The agent still runs the old version. It can be restarted at any time: "
    "systemctl restart stardust-spider (OpenRC: rc-service stardust-spider restart).",
    "report.old_sessions": "Users whose sessions still run the old version: {names}.",
    "report.old_processes": "Processes without a service that still run the old version: {names}.",
    "report.unchecked_processes": "Some processes could not be checked for old versions.",
    "report.still_running": "Started by this job and still running, in {where}: {names}.",
    "report.unplanned": "Changed, but not in the plan: {names}.",
    "report.pacman_partial": "Only a part of the upgrade was done. Packages may not fit each other until the rest follows: upgrade again soon.",
    "report.pacman_newer_lists": "The package lists are newer than the installed packages now: upgrade before you install anything by hand.",
    "report.pacman_keyring": "A signature was not accepted. If the key is newer than this server's keyring, upgrade the keyring first: "
    "'pacman -Sy --needed archlinux-keyring', followed immediately by 'pacman -Su'.",
    "report.pacman_sandbox": "pacman could not sandbox its downloads: this server's kernel or container does not allow it. "
    "With DisableSandbox in /etc/pacman.conf, the administrator's own file, pacman does without.",
    "report.zypper_updated_itself": "zypper updated itself or a package that it needs. Run this again: there may be more updates.",
    "report.zypper_left_out": "zypper left out a repository that it could not read.",
    # -- notes of a report, after a reboot ---------------------------------------------------
    "reboot.needed": "It was needed: {why}.",
    "reboot.not_needed": "It was not needed: {why}.",
    "reboot.need_unknown": "Whether it was needed is not known: {why}.",
    "reboot.boot": "The boot id was {before} before the reboot and is {after} now.",
    "reboot.away": "Its services had started {seconds} s after the order.",
    "reboot.same": "As before the reboot: services {services}, ports {ports}, file systems {mounts}.",
    "reboot.kernel": "The kernel was {before} before the reboot and is {after} now.",
    "reboot.kernel_older": "The kernel is older than expected: the reboot did not start the installed {names}.",
    "reboot.services": "Services that ran before the reboot and do not now: {names}.",
    "reboot.ports": "Ports that were open before the reboot and are not now: {names}.",
    "reboot.mounts": "File systems that were mounted before the reboot and are not now: {names}.",
    "reboot.routes": "Default routes that were there before the reboot and are not now: {names}.",
    "reboot.failed_units": "Units that failed since the reboot: {names}.",
    # -- why a reboot is needed, is not needed, or nobody knows -------------------------------
    "due.asked_by": "asked for by {names}",
    "due.file": "the file {path} exists",
    "due.patch": "a patch that was just installed asks for it",
    "due.updated": "updated since the start: {names}",
    "due.core_updated": "core libraries or services were updated since the start",
    "due.core_replaced": "{names} changed after the boot: programs started before still run the old version",
    "due.kernel_removed": "the running kernel {running} is no longer installed; {installed} is",
    "due.kernel_newer": "kernel {installed} is installed, but {running} is running",
    "due.kernel_replaced": "the file of the running kernel {running} was replaced after the boot",
    "due.live_patched": "{why}; live patches are loaded until then: {names}",
    "due.not_kernel_or_core": "{running} is the newest kernel of its kind, and core libraries are older than the boot",
    "due.not_core": "no core library or service was updated since the start",
    "due.not_by_manager": "the package manager's own check sees no need",
    "due.not_asked": "no package asked for a reboot; a new kernel would have",
    "due.not_in_container": "it is a container ({kind}): the kernel is its host's, and nothing here asks for a restart",
    "due.not_after_reboot": "it has just been rebooted",
    "due.not_by_removals": "only removals",
    "due.unknown": "the check failed; the node's log says why",
    "due.unknown_kernels": "no installed kernel was found",
    "due.unknown_kernel": "the running kernel {running} is not among the installed ones",
    "due.unknown_image": "it is not known when the running kernel was installed",
    "due.unknown_core": "it is not known whether core libraries changed after the boot",
    "due.unknown_no_check": "{program} is not installed",
    "due.unknown_answer": "{program} gave no answer",
    # -- what a stop request does ------------------------------------------------------------
    "stop.nothing_changed": "nothing has been changed yet",
    "stop.after_step": "this step runs to its end, and no other one starts",
    "stop.last_step": "this is the last step, and it runs to its end",
    "stop.apt_after_packages": "apt-get stops after the packages that dpkg is working on",
    "stop.apt_rest": "what was half done is completed; nothing else was started",
    "stop.apk_at_work": "apk is changing packages, and an interruption could leave them in an unknown state",
    "stop.pacman_after_package": "pacman stops after the current package",
    "stop.pacman_hooks": "all packages are installed; pacman runs their hooks now",
    "stop.rpm_at_work": "rpm is changing packages: an interruption now leaves two versions of the same package behind",
    "stop.rpm_waits": "it still waits for another program; nothing has been changed yet",
    "stop.unit_at_work": "systemd finishes what it was asked to do",
    "stop.script_stopped": "the script of the current package was stopped",
    "stop.no_script": "no package's script runs that could be stopped; one that starts later is stopped then",
    "stop.nothing_to_kill": "no package's script runs that could be stopped",
    # -- what a phase is at ------------------------------------------------------------------
    "phase.waits_for_program": "waiting for {program} (process {pid})",
    "phase.waits_for_process": "waiting for another program (process {pid})",
    "phase.waits_for_lock": "waiting for the lock {file}",
    "phase.waits_for_lists": "waiting for another program to release the package lists",
    "phase.waits_for_session": "waiting for the new version to connect to the hub",
    "phase.shutting_down": "the server is shutting down",
    "phase.reboot_requested": "the server was asked to reboot",
    "phase.starting": "the server is back; its services are starting",
    "phase.planned": "{count} packages would change",
    "phase.updates": "{count} packages can be upgraded, {security} of them for security.",
    "phase.updates_unclear": "{count} packages can be upgraded; it is not known which are for security.",
}  # fmt: skip
"""Code -> sentence. A code is public: it is never renamed and never reused."""


def sentence(code: str, **facts: object) -> str:
    """The text of a code, with these facts."""
    return SENTENCES[code].format(**facts)


def name_list(names: Sequence[str], most: int = 10) -> str:
    """Join names to one fact that needs no translation: `a, b (+3)`. A name is cut to 100 characters."""
    more = f" (+{len(names) - most})" if len(names) > most else ""
    return ", ".join(name[:100] for name in names[:most]) + more
