"""Commands about passkeys (`race_cases.py`)."""

from __future__ import annotations

from groundcontrol.access.model import User
from groundcontrol.access.passkeys import Passkey
from groundcontrol.core.errors import Conflict
from spider.wire.ids import new_random_id
from tests.support.factories import SCOPE
from tests.support.race_cases import Cases, Ground, Race, Rivals
from tests.support.race_cases_users import with_factor_of

CASES = Cases()


def a_passkey(user: User, at: float, credential: bytes = b"", name: str = "my phone") -> Passkey:
    return Passkey(new_random_id(), user.id, name, "hub.example", credential or new_random_id().encode(), b"key", 0, at)


@CASES.of("passkeys.add_passkey")
async def _add_passkey(ground: Ground) -> Race:
    """Of twenty callers with one credential, one adds it."""
    store, (user, _) = ground.store, await with_factor_of(ground)
    wanted = [a_passkey(user, ground.now, b"one", f"number {at}") for at in range(20)]
    rivals = Rivals("one", lambda at: store.passkeys.add_passkey(SCOPE, wanted[at]), lambda at: [wanted[at]], Conflict)
    return Race(
        lambda: store.passkeys.add_passkey(SCOPE, wanted[0]), lambda: store.passkeys.passkeys(user.id), [wanted[0]], ("auth.passkey_add",),
        rivals=rivals,
    )  # fmt: skip


@CASES.of("passkeys.remove_passkey")
async def _remove_passkey(ground: Ground) -> Race:
    store, (user, _) = ground.store, await with_factor_of(ground)
    one, kept = [await store.passkeys.add_passkey(SCOPE, a_passkey(user, ground.now)) for _ in range(2)]
    return Race(
        lambda: store.passkeys.remove_passkey(SCOPE, user.id, one.id), lambda: store.passkeys.passkeys(user.id), [kept],
        ("auth.passkey_remove",),
    )  # fmt: skip


@CASES.of("passkeys.use_passkey")
async def _use_passkey(ground: Ground) -> Race:
    """A count of the authenticator counts once."""
    store, (user, _) = ground.store, await with_factor_of(ground)
    one = await store.passkeys.add_passkey(SCOPE, a_passkey(user, ground.now))
    return Race(
        lambda: store.passkeys.use_passkey(one.id, 0, 1, ground.now), lambda: store.passkeys.passkeys(user.id),
        [one._replace(uses=1, used_at=ground.now)], alone=(True, False),
    )  # fmt: skip
