"""A package manager's settings change neither parsing nor execution: every call has its neutral options."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from spider.packages.apk import backend as apk_backend
from spider.packages.apk import parsers as apk_parsers
from spider.packages.apt import backend as apt_backend
from spider.packages.apt import parsers as apt_parsers
from spider.packages.apt.calls import NEUTRAL
from spider.packages.backend import Backend, Command
from spider.packages.dnf.dnf4 import Dnf4
from spider.packages.dnf.dnf5 import Dnf5
from spider.packages.pacman import backend as pacman_backend
from spider.packages.plan import Plan, Planned
from spider.packages.yum.backend import Yum
from spider.packages.zypper.backend import Zypper

PLAN = Plan((Planned("lab-sec", "1.0-1", "1.1-1", "yes", "lab"),))
VERBS = ("refresh", "clean", "upgrade", "full-upgrade", "security-upgrade", "install", "remove", "hold", "unhold")
KEPT = "The following packages have been kept back:\n"


def calls(backend: Backend, verb: str) -> list[Sequence[str]]:
    packages = ("lab-sec",) if verb in ("install", "remove", "hold", "unhold") else ()
    plan = Plan((Planned("lab-sec", "1.1-1", ""),)) if verb == "remove" else PLAN
    return [piece.argv for piece in backend.work(verb, packages, plan) if isinstance(piece, Command)]


@pytest.mark.parametrize("verb", VERBS)
def test_every_call_of_the_rpm_family_is_neutral_and_sure(verb: str) -> None:
    for backend in (Dnf4("dnf", "x86_64"), Dnf5("dnf5", "x86_64"), Yum("x86_64")):
        for argv in calls(backend, verb):
            assert argv[1 : 1 + len(backend.neutral)] == backend.neutral
            assert "-q" in argv or {*backend.verbose, *backend.unattended} <= set(argv)
            assert ("-C" in argv) != (set(backend.online) <= set(argv)) or "expire-cache" in argv
    for argv in calls(Zypper("x86_64", "opensuse-leap"), verb):
        assert argv[: len(Zypper.neutral)] == Zypper.neutral
        if verb.endswith("upgrade") or verb == "install":
            assert "--download-only" in argv or argv[argv.index("--download") + 1] == "in-advance"


def test_every_call_of_apt_pacman_and_apk_is_neutral(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt_backend, "run_query", lambda *_words, **_more: pytest.fail("nothing is asked"))
    for verb in ("refresh", "clean", "install", "remove", "hold", "unhold", "repair"):
        for argv in calls(apt_backend.Apt(), verb):
            options = [word for place, word in enumerate(argv) if argv[place - 1] == "-o"]
            assert argv[0] == "dpkg" or options[: len(NEUTRAL)] == [f"{name}={value}" for name, value in NEUTRAL.items()]
            if argv[0] == "dpkg" or any(word.startswith("Dpkg::Options") for word in options):
                forces = [word.rpartition("=")[2] for word in (argv if argv[0] == "dpkg" else options) if "force-conf" in word]
                assert forces == ["--no-force-confnew", "--no-force-confask", "--force-confdef", "--force-confold"]
    for argv in [*calls(pacman_backend.Pacman(), "refresh"), pacman_backend.pacman("-Q")]:
        assert argv[:4] == ("pacman", "--color", "never", "--noconfirm")
    assert apk_backend.APK_ENVIRONMENT["APK_CONFIG"] == "/dev/null"


def test_the_administrators_apk_settings_are_preserved() -> None:
    config = (
        "quiet\nverbose\ninteractive\nsimulate\nno-network\n# allow-untrusted\n\ncache-dir /srv/cache\ntimeout 120\nforce-refresh\nwait 3\n"
    )
    assert apk_parsers.own_options(config) == ["--cache-dir", "/srv/cache", "--timeout", "120", "--force-refresh"]


def test_only_valid_package_names_are_held_back() -> None:
    shown = (
        KEPT
        + "   lab-fail (1.0 => 2.0)\n   libc6:i386 (2.36-9+deb12u1 => 2.36-9+deb12u2)\n   \x1b[1mg++-12\x1b[0m (12 => 13)\n0 upgraded\n"
    )
    assert apt_parsers.parse_report(shown).kept_back == ("lab-fail", "libc6:i386")
    assert apt_parsers.parse_report(KEPT + "  g++ lab-hang\n").kept_back == ("g++", "lab-hang")
