"""Finds the packages that patches fix, from the advisories that zypper caches (`updateinfo`).

Two queries of zypper have the same result, but the second (`patch-info` of every needed patch) takes longer than zypper's plan. The
backend uses them only if this module cannot read the advisories. A patch is needed while one of its packages is installed in an older version. Locks on
patches are ignored.
"""

import os
import re
from typing import Dict, Iterable, List, NamedTuple, Optional, Set, Tuple
from xml.parsers import expat

from spider.packages.after.versions import compare_rpm
from spider.packages.gzip_files import unpacked
from spider.packages.rpm.parsers import RpmPackage

MAX_PACKED_BYTES = 64 * 1024 * 1024
_HREF = re.compile(rb'<data\s+type="updateinfo".*?<location\s[^>]*?href="([^"]+)"', re.DOTALL)
_TRUE = ("1", "true", "True")


class Needed(NamedTuple):
    """What the needed patches contain, all patches together."""

    cures: List[RpmPackage]
    """Packages of security patches, in the fixed version."""
    restart: bool
    """Whether a patch needs a reboot."""


class _Patch:
    """The patch that is being parsed."""

    def __init__(self, attributes: Dict[str, str]) -> None:
        self.security = attributes.get("type") == "security"
        self.retracted = attributes.get("status") == "retracted"
        self.restart = False
        self.packages: List[RpmPackage] = []


class Advisories:
    """Reads advisories, and finds the patches that the installed packages need."""

    def __init__(self, installed: Iterable[RpmPackage]) -> None:
        self._newest: Dict[Tuple[str, str], str] = {}
        self._names: Set[str] = set()
        for package in installed:
            key = (package.name, package.arch)
            self._names.add(package.name)
            if key not in self._newest or compare_rpm(self._newest[key], package.version) < 0:
                self._newest[key] = package.version
        self._cures: List[RpmPackage] = []
        self._restart = False
        self._patch: Optional[_Patch] = None
        self._text: List[str] = []

    def read(self, folder: str) -> None:
        """Read the advisories of one repository from its metadata folder, if it has advisories.

        Raises: OSError; ValueError: they are corrupt or of an unknown compression.
        """
        with open(os.path.join(folder, "repomd.xml"), "rb") as file:
            href = _HREF.search(file.read(MAX_PACKED_BYTES))
        if href is None:
            return
        path = os.path.join(folder, os.path.basename(href.group(1).decode("utf-8", "replace")))
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.EntityDeclHandler = _no_entities
        try:
            with open(path, "rb") as file:
                parser.Parse(unpacked(file.read(MAX_PACKED_BYTES)), True)  # the flag has no keyword
        except expat.ExpatError as exc:
            raise ValueError(f"damaged: {exc}") from exc

    def needed(self) -> Needed:
        """The result of all repositories that were read."""
        return Needed(self._cures, self._restart)

    def _start(self, name: str, attributes: Dict[str, str]) -> None:
        self._text = []
        if name == "update":
            self._patch = _Patch(attributes)
        elif name == "package" and self._patch is not None and attributes.get("name") in self._names:
            epoch, version = attributes.get("epoch") or "0", f"{attributes.get('version', '')}-{attributes.get('release', '')}"
            cure = RpmPackage(attributes["name"], version if epoch == "0" else f"{epoch}:{version}", attributes.get("arch", ""))
            self._patch.packages.append(cure)

    def _characters(self, text: str) -> None:
        self._text.append(text)

    def _end(self, name: str) -> None:
        patch = self._patch
        if patch is None:
            return
        if name == "reboot_suggested":
            patch.restart = patch.restart or "".join(self._text).strip() in _TRUE
        elif name == "update":
            self._patch = None
            if not patch.retracted and any(self._older(package) for package in patch.packages):
                self._restart = self._restart or patch.restart
                self._cures += patch.packages if patch.security else []

    def _older(self, cure: RpmPackage) -> bool:
        """Whether the newest installed version is older than the fixed version."""
        newest = self._newest.get((cure.name, cure.arch))
        return newest is not None and compare_rpm(newest, cure.version) < 0


def _no_entities(*_: object) -> None:
    raise ValueError("advisories that define entities are not read")
