"""Orders to the launcher: the hub seals them, Spider transports them and root checks them.

`SDL1` + u32 length + body + HMAC-SHA256(launch key); the body is one JSON object. Nothing is parsed before the MAC is verified.
"""

import json
import struct
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from spider.wire.ids import is_id, made_at
from spider.wire.proof import constant_time_equal, mac

MAGIC = b"SDL1"
HEAD_BYTES = 8
MAC_BYTES = 32
MIN_BODY_BYTES = 2
MAX_BODY_BYTES = 16384
MAX_LIFE_S = 600
"""Longest time from an order's issue to its end."""
MAX_SKEW_S = 60
"""How far in the future an order's time of issue may be, by the node's clock."""
MAX_WAIT_S = 86_400 + MAX_LIFE_S
"""How long after the creation of its job an order may be issued."""
CONTAINER_LIST = MAGIC + struct.pack(">I", 0)
"""A head without a body: a request for the list of the containers that the policy names. It carries no order and no input."""
CLOCK_REFUSALS = frozenset({"expired", "too-early", "too-long"})
"""Reasons for which an order is refused where the clocks of hub and node differ: the hub corrects the order's time and sends it again."""
ORDER_VERSION = 1
ORDER_TIME = "order-time"
"""The feature of a node whose launcher accepts `SignedOrder.at`."""

ACTION_LIMIT = "action-limit"
"""The feature of a node whose launcher accepts the argument `timeout_s` of a named action."""

_LABEL = b"stardust-launch-v1\0"
_KEYS = {"v", "node", "gen", "job", "verb", "args", "iat", "exp"}


class SignedOrder(NamedTuple):
    """Permission for root to do one thing, once, until `exp`."""

    node: str
    gen: int
    job: str
    verb: str
    args: Dict[str, Any]
    iat: int
    """Time of issue, Unix seconds by the node's clock, as far as the hub knows that clock."""
    exp: int
    at: Optional[int] = None
    """Time of issue, Unix seconds by the hub's own clock; None: the hub is older, or the node lacks the feature `ORDER_TIME`."""


class OrderError(Exception):
    """The order is refused; `why` is a stable word.

    bad-magic, bad-length, bad-mac, bad-json, bad-fields · wrong-node, wrong-generation, expired, too-early, too-long, bad-job.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def seal_order(launch_key: bytes, order: SignedOrder) -> bytes:
    """Encode and sign an order for the launcher.

    Raises: ValueError: longer than MAX_BODY_BYTES.
    """
    fields = dict(order._asdict(), v=ORDER_VERSION)
    if order.at is None:
        del fields["at"]
    body = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False).encode("utf-8")
    if len(body) > MAX_BODY_BYTES:
        raise ValueError("an order this long cannot be sent")
    head = MAGIC + struct.pack(">I", len(body))
    return head + body + mac(launch_key, _LABEL + head + body)


def frame_length(head: bytes) -> int:
    """Number of bytes after the first HEAD_BYTES.

    Raises: OrderError: bad-magic, bad-length.
    """
    if len(head) < HEAD_BYTES or head[:4] != MAGIC:
        raise OrderError("bad-magic")
    (length,) = struct.unpack(">I", head[4:HEAD_BYTES])
    if not MIN_BODY_BYTES <= length <= MAX_BODY_BYTES:
        raise OrderError("bad-length")
    return int(length) + MAC_BYTES


def order_body(launch_key: bytes, frame: bytes) -> bytes:
    """The body of a frame, after its MAC is verified.

    Raises: OrderError: bad-magic, bad-length, bad-mac.
    """
    if len(frame) - HEAD_BYTES != frame_length(frame[:HEAD_BYTES]):
        raise OrderError("bad-length")
    head, body, proof = frame[:HEAD_BYTES], frame[HEAD_BYTES:-MAC_BYTES], frame[-MAC_BYTES:]
    if not constant_time_equal(mac(launch_key, _LABEL + head + body), proof):
        raise OrderError("bad-mac")
    return body


def _no_duplicates(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise OrderError("bad-fields")
    return found


def _no_constant(_name: str) -> Any:
    raise OrderError("bad-json")


def parse_order(body: bytes) -> SignedOrder:
    """Parse a body whose MAC was verified.

    Raises: OrderError: bad-json, bad-fields.
    """
    try:
        fields = json.loads(body.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise OrderError("bad-json") from error
    if type(fields) is not dict or set(fields) - {"at"} != _KEYS:
        raise OrderError("bad-fields")
    version = fields.pop("v")
    order = SignedOrder(**fields)
    texts = (order.node, order.job, order.verb)
    numbers = (version, order.gen, order.iat, order.exp, fields.get("at", 0))  # isinstance counts True as an int, so the types are compared
    if any(type(text) is not str for text in texts) or any(type(number) is not int for number in numbers) or type(order.args) is not dict:
        raise OrderError("bad-fields")
    if version != ORDER_VERSION:
        raise OrderError("bad-fields")
    return order


def check_order(order: SignedOrder, node: str, generation: int, now: float) -> None:
    """Check that this order is for this node, key and moment. (The launcher checks policy, arguments and replay.)

    Args:   now: Unix seconds by the node's clock.
    Raises: OrderError: wrong-node, wrong-generation, expired, too-long, too-early, bad-job.
    """
    if order.node != node:
        raise OrderError("wrong-node")
    if order.gen != generation:
        raise OrderError("wrong-generation")
    if now >= order.exp:
        raise OrderError("expired")
    if order.exp - order.iat > MAX_LIFE_S:
        raise OrderError("too-long")
    if order.iat > now + MAX_SKEW_S:
        raise OrderError("too-early")
    if not is_id(order.job):
        raise OrderError("bad-job")


def issue_time(order: SignedOrder) -> int:
    """When the hub issued an order, in Unix seconds by the hub's clock: `at`, or else a time derived from the job's id and `iat`."""
    if order.at is not None:
        return order.at
    made = made_at(order.job)
    return order.iat if made <= order.iat <= made + MAX_WAIT_S else made


def latest_known(order: SignedOrder, now: float) -> int:
    """A time (Unix seconds) that the clocks of hub and node had reached when the node accepted this order, up to MAX_SKEW_S.

    One wrong clock alone cannot make it later than the true time by more than MAX_SKEW_S.
    """
    return min(made_at(order.job) if order.at is None else order.at, int(now) + MAX_SKEW_S)
