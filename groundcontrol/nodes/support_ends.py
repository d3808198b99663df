"""Ends of support of distributions, from the dates that they publish (Debian and Ubuntu: their `distro-info-data`).

What a node's own os-release names wins. Security updates for everybody count, without contracts: for Debian those of its LTS, for Ubuntu standard support.
"""

from __future__ import annotations

from typing import Final

from groundcontrol.nodes.model import NodeIdentity

AS_OF: Final = "2026-11-27"
"""When the table was last compared with the published dates."""
_RHEL: Final = {"7": "2024-06-30", "8": "2029-05-31", "9": "2032-05-31", "10": "2035-05-31"}
ENDS: Final[dict[str, dict[str, str]]] = {
    "debian": {"10": "2024-06-30", "11": "2026-08-31", "12": "2028-06-30", "13": "2030-06-30"},
    "ubuntu": {
        "18.04": "2023-05-31",
        "20.04": "2025-05-29",
        "22.04": "2027-06-01",
        "24.04": "2029-05-31",
        "25.04": "2026-01-15",
        "25.10": "2026-07-09",
        "26.04": "2031-05-29",
        "26.10": "2027-07-15",
    },
    "rhel": _RHEL,
    "rocky": {version: end for version, end in _RHEL.items() if version != "7"},
    "almalinux": {"8": "2029-03-01", "9": _RHEL["9"], "10": _RHEL["10"]},
}
"""`ID` of os-release -> version -> date."""


def supported_until(identity: NodeIdentity) -> str | None:
    """The last day of support, such as 2028-06-30: what the node's os-release says, or else the table; None: not known."""
    if identity.support_end:
        return identity.support_end
    version, versions = identity.os_version, ENDS.get(identity.os_id, {})
    return versions.get(version) or versions.get(version.partition(".")[0])
