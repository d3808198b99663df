"""What Spider itself is kept up by, through the launcher like every order: `update` brings a new version of it, `rekey` new keys, and
`uninstall` takes it off.

Here is what both ends of the order agree on; `spider/updating.py`, `spider/rekeying.py` and `spider/leaving.py` carry them out, as root.
"""

import re
from typing import Any, Mapping

UPDATE, REKEY, UNINSTALL = "update", "rekey", "uninstall"
MAX_BUNDLE_BYTES = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_KEYS = re.compile(r"[0-9a-f]{128}\Z")


def good_upkeep(verb: str, args: Mapping[str, Any]) -> bool:
    """Whether these are arguments of one of the three: of an update the SHA-256 of the bundle, of a re-key the next generation and both of
    its keys, masked (`wire.proof.rekey_mask`), with the digest of what is under the mask; an uninstallation has none."""
    if verb == UNINSTALL:
        return not args
    if verb == UPDATE:
        return set(args) == {"plan"} and type(args["plan"]) is str and _DIGEST.match(args["plan"]) is not None
    return (
        set(args) == {"generation", "keys", "digest"}
        and type(args["digest"]) is str
        and _DIGEST.match(args["digest"]) is not None
        and type(args["generation"]) is int
        and 1 < args["generation"] < 1 << 32
        and type(args["keys"]) is str
        and _KEYS.match(args["keys"]) is not None
    )
