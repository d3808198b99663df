"""The calls of apt's programs. Their options make output and actions independent of apt.conf.

Command line options override all settings files, and also settings for one program (`Binary::apt-get`). Choices of the administrator about
packages and the network stay valid: sources, pins, recommended packages, phasing, purging, hooks, proxies. `docs/packages.md` lists
every setting.
"""

from typing import Mapping, Tuple

NEUTRAL: Mapping[str, str] = {
    # output
    "quiet": "1",
    "quiet::NoStatistic": "false",
    "pager": "false",
    "APT::Audit": "false",
    "APT::Color": "false",
    "APT::Output-Version": "0",
    "APT::Status-Fd": "-1",
    "APT::Status-deb822-Fd": "-1",
    "APT::Get::List-Columns": "false",
    "APT::Get::Show-Upgraded": "true",
    "APT::Get::Show-Versions": "false",
    "APT::Get::Print-URIs": "false",
    "APT::Cache::AllNames": "false",
    "APT::Cache::Installed": "false",
    "APT::Cache::Generate": "true",
    "Dpkg::Progress-Fancy": "false",
    # questions and their answers
    "APT::Get::Assume-Yes": "false",
    "APT::Get::Assume-No": "false",
    "APT::Get::Trivial-Only": "false",
    "APT::Get::Update::InteractiveReleaseInfoChanges": "false",
    # actions
    "help": "false",
    "version": "false",
    "DPkg::ConfigurePending": "true",
    "APT::Update": "false",
    "APT::Get::Simulate": "false",
    "APT::Get::Download": "true",
    "APT::Get::Download-Only": "false",
    "APT::Mark::Simulate": "false",
    "Debug::NoLocking": "false",
    "Debug::pkgDPkgPM": "false",
    # the choice of packages
    "Dir::State::status": "/var/lib/dpkg/status",  # with another value, apt would plan for a system that dpkg does not change
    "APT::Ignore-Hold": "false",
    "APT::Get::AutomaticRemove": "false",
    "APT::Get::AutomaticRemove::Kernels": "false",
    "APT::Get::Autosolving": "true",
    "APT::Get::CallResolver": "true",
    "APT::Get::Fix-Broken": "false",
    "APT::Get::Fix-Missing": "false",
    "APT::Get::Fix-Policy-Broken": "false",
    "APT::Get::Mark-Auto": "false",
    "APT::Get::Only-Upgrade": "false",
    "APT::Get::ReInstall": "false",
    "APT::Get::Remove": "true",
    "APT::Get::Upgrade": "true",
    "APT::Get::Upgrade-Allow-New": "false",
    # forbidden actions
    "APT::Get::Force-Yes": "false",
    "APT::Get::Allow-Downgrades": "false",
    "APT::Get::Allow-Change-Held-Packages": "false",
    "APT::Get::Allow-Remove-Essential": "false",
    "APT::Get::Allow-Solver-Remove-Essential": "false",
}
"""Settings that every call gets, mostly with apt's defaults."""
_NEUTRAL_WORDS = tuple(word for name, value in NEUTRAL.items() for word in ("-o", f"{name}={value}"))
DPKG_OPTIONS = ("--no-force-confnew", "--no-force-confask", "--force-confdef", "--force-confold")
"""Keep changed configuration files without a question. dpkg obeys its last options, so these come after the options of the settings."""


def apt_get(*words: str) -> Tuple[str, ...]:
    """A call of apt-get. Later words override the neutral options."""
    return ("apt-get", *_NEUTRAL_WORDS, *words)


def apt_cache(*words: str) -> Tuple[str, ...]:
    """A call of apt-cache."""
    return ("apt-cache", *_NEUTRAL_WORDS, *words)


def apt_config(*words: str) -> Tuple[str, ...]:
    """A call of apt-config."""
    return ("apt-config", *_NEUTRAL_WORDS, *words)


def apt_mark(*words: str) -> Tuple[str, ...]:
    """A call of apt-mark."""
    return ("apt-mark", *_NEUTRAL_WORDS, *words)
