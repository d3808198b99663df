"""How apt's programs are called: whatever stands in apt.conf, they print what is read here and do what they are asked for.

Options of the command line come after every settings file, those for one program (`Binary::apt-get`) included. What an administrator
decides about packages and the network stays as it is: sources, pins, recommended packages, phasing, purging, hooks, proxies.
`docs/packages.md` lists every setting.
"""

from typing import Mapping, Tuple

NEUTRAL: Mapping[str, str] = {
    # What is printed.
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
    # What is asked, and what is answered.
    "APT::Get::Assume-Yes": "false",
    "APT::Get::Assume-No": "false",
    "APT::Get::Trivial-Only": "false",
    "APT::Get::Update::InteractiveReleaseInfoChanges": "false",
    # What is done at all.
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
    # Which packages.
    "Dir::State::status": "/var/lib/dpkg/status",  # with another one apt plans for another system than dpkg changes
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
    # What is never allowed.
    "APT::Get::Force-Yes": "false",
    "APT::Get::Allow-Downgrades": "false",
    "APT::Get::Allow-Change-Held-Packages": "false",
    "APT::Get::Allow-Remove-Essential": "false",
    "APT::Get::Allow-Solver-Remove-Essential": "false",
}
"""Settings that change what is read or run, with apt's own defaults."""
_NEUTRAL_WORDS = tuple(word for name, value in NEUTRAL.items() for word in ("-o", f"{name}={value}"))
DPKG_OPTIONS = ("--no-force-confnew", "--no-force-confask", "--force-confdef", "--force-confold")
"""A configuration file that was changed stays, and nothing asks. dpkg obeys the last word, so these come behind those of the settings."""


def apt_get(*words: str) -> Tuple[str, ...]:
    """A call of apt-get; later words change what the neutral ones say."""
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
