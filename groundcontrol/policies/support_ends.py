"""Ends of support of distributions, from the dates that they publish. Where only a month is published, its last day counts.

Security updates for everybody count, without contracts: for Debian those of its LTS, for Ubuntu standard support.
"""

from __future__ import annotations

from typing import Final

AS_OF: Final = "2026-11-27"
"""When the table was last compared with the published dates."""
_RHEL: Final = {"7": "2024-06-30", "8": "2029-05-31", "9": "2032-05-31", "10": "2035-05-31"}
ENDS: Final[dict[str, dict[str, str]]] = {
    "debian": {"10": "2024-06-30", "11": "2026-08-31", "12": "2028-06-30", "13": "2030-06-30"},
    "ubuntu": {"18.04": "2023-05-31", "20.04": "2025-05-31", "22.04": "2027-04-30", "24.04": "2029-04-30"},
    "rhel": _RHEL,
    "rocky": {version: end for version, end in _RHEL.items() if version != "7"},
    "almalinux": {version: end for version, end in _RHEL.items() if version != "7"},
}
"""`ID` of os-release -> version -> date."""


def supported_until(os_id: str, version: str) -> str | None:
    """The last day of support, such as 2028-06-30; None: not known."""
    versions = ENDS.get(os_id, {})
    return versions.get(version) or versions.get(version.partition(".")[0])
