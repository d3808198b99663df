"""Probes of a roll-out: what must answer on the node itself. Hub and node check them alike, since neither trusts the other's checks."""

import re

_TARGETS = {
    "http": re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?(/[\x21-\x7e]{0,300})?\Z"),
    "tcp": re.compile(r"[1-9][0-9]{0,4}\Z"),
    "unit": re.compile(r"[A-Za-z0-9@._:-]{1,200}\.(service|socket|timer)\Z"),
}
"""By kind: the form of the target, which is always on the node itself."""
MAX_PROBE_CHARS = 340


def is_probe(kind: str, target: str) -> bool:
    """Whether this is a probe of the node itself: `http URL`, `tcp PORT` or `unit NAME`."""
    form = _TARGETS.get(kind)
    if form is None or not form.match(target):
        return False
    port = target if kind == "tcp" else target.split("/", 3)[2].rpartition("]")[2].rpartition(":")[2] if kind == "http" else "1"
    return not port.isdigit() or 0 < int(port) <= 65_535
