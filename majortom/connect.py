"""SSH connections: the address first, then the host key without logging in, then a log-in that accepts that key only."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Final, NamedTuple

import asyncssh
from cryptography.hazmat.primitives.asymmetric import rsa

from majortom.addresses import is_address
from majortom.base import DeployError, HostKey, StepName, Target
from majortom.errors import failure, one_line
from majortom.keys import LoadedKey, OpenKeys
from majortom.names import addresses_of
from majortom.opening import CIPHERS, HOST_KEY_ALGS, KEX_ALGS, MACS, Opening, Watched
from majortom.questions import Questions

_RSA_ALGS: Final = ("rsa-sha2-512", "rsa-sha2-256")

AddressRule = Callable[[str], str | None]
"""Given an IP address: why it is not deployed to, or None."""


class Limits(NamedTuple):
    """Seconds that things may take."""

    connect_s: float = 15.0
    login_s: float = 30.0
    step_s: float = 120.0
    python_s: float = 600.0
    verify_s: float = 30.0
    whole_s: float = 900.0
    """Without the time in which a person looks at the fingerprint."""
    undo_s: float = 90.0
    rollback_s: float = 600.0
    """So long after the last step the server takes an installation back by itself that nobody finished."""
    keepalive_s: float = 15.0
    at_once: int = 8
    """Connections at once to one address: sshd's own default refuses more than ten that have not logged in."""


Tunnel = asyncssh.SSHClientConnection
"""A connection to a jump host, over which one other is made."""


class Reached(NamedTuple):
    """A server that answered, and the key it showed."""

    address: str
    key: HostKey
    warning: str
    via: str = ""
    """The address of the jump host."""


class Connector:
    """Opens connections; holds how many are open to each address."""

    def __init__(self, limits: Limits, rule: AddressRule) -> None:
        self._limits = limits
        self._rule = rule
        self._slots: dict[str, _Slot] = {}
        self._at_work: set[tuple[str, int]] = set()
        self.keys = OpenKeys()

    @contextlib.contextmanager
    def alone(self, reached: Reached, port: int) -> Iterator[None]:
        """Be the only deployment to this address: a second one would take the first one's unfinished work away.

        Raises: DeployError: there is one already.
        """
        place = (f"{reached.via}>{reached.address}", port)
        if place in self._at_work:
            raise failure("busy", "connect")
        self._at_work.add(place)
        try:
            yield
        finally:
            self._at_work.discard(place)

    @contextlib.asynccontextmanager
    async def _slot(self, address: str) -> AsyncIterator[None]:
        slot = self._slots.setdefault(address, _Slot(asyncio.Semaphore(self._limits.at_once)))
        slot.users += 1
        try:
            async with slot.semaphore:
                yield
        finally:
            slot.users -= 1
            if not slot.users:
                self._slots.pop(address, None)

    async def reach(self, target: Target, tunnel: Tunnel | None = None, via: str = "") -> Reached:
        """Find the server and get its host key; nothing is authenticated.

        A server has several keys: where one is known or expected, that one is asked for before any other is shown.
        Args:   tunnel: the jump host's connection, over which the server is reached; `via` is the jump host's address.
        Raises: DeployError: `connect` step codes.
        """
        host = target.host
        if tunnel is not None:
            if is_address(host) and (why := self._rule(host)):
                raise failure("target_not_allowed", "connect", host=host, why=why)
            async with self._slot(f"{via}>{host}"):  # the jump host knows its names, and nobody else may
                await _ask(target)
                return (await self._known_or_first(target, host, tunnel))._replace(via=via)
        addresses = await self._resolve(host)
        for why in filter(None, map(self._rule, addresses)):
            raise failure("target_not_allowed", "connect", host=host, why=why)
        last: DeployError | None = None
        for address in addresses:
            try:
                async with self._slot(address):
                    await _ask(target)
                    return await self._known_or_first(target, address, None)
            except DeployError as exc:
                last = last or exc
        raise last or failure("host_unknown", "connect", host=host)

    async def _known_or_first(self, target: Target, address: str, tunnel: Tunnel | None) -> Reached:
        host, port = target.host, target.port
        if target.pinned is not None:
            with contextlib.suppress(DeployError):  # whatever it is, asking for any key says it again
                return await self._host_key(host, address, port, _algs(target.pinned.type), tunnel)
        first = await self._host_key(host, address, port, HOST_KEY_ALGS, tunnel)
        if target.pinned is None and target.expected_fingerprint:
            for kind in dict.fromkeys(_type_of(alg) for alg in HOST_KEY_ALGS):
                if kind == first.key.type or same_fingerprint(target.expected_fingerprint, first.key.fingerprint):
                    continue
                with contextlib.suppress(DeployError):
                    other = await self._host_key(host, address, port, _algs(kind), tunnel)
                    if same_fingerprint(target.expected_fingerprint, other.key.fingerprint):
                        return other
        return first

    async def _resolve(self, host: str) -> list[str]:
        try:
            return await addresses_of(host, self._limits.connect_s)
        except (OSError, UnicodeError, TimeoutError):
            raise failure("host_unknown", "connect", host=host) from None

    async def _host_key(self, host: str, address: str, port: int, algs: Sequence[str], tunnel: Tunnel | None) -> Reached:
        opening = Opening(host, port, algs)
        with _translated(host, port, "connect", self._limits.connect_s, opening):
            async with asyncio.timeout(self._limits.connect_s):
                key = await asyncssh.get_server_host_key(
                    address, port, tunnel=Watched(opening, tunnel), config=None, options=self._options(),
                    kex_algs=KEX_ALGS, server_host_key_algs=algs,
                )  # fmt: skip
        if key is None:
            raise failure("not_ssh", "connect", host=host, port=port)
        bits = _rsa_bits(key)
        if bits is not None and bits < 2048:
            raise failure("host_key_weak", "host_key", host=host, bits=bits)
        warning = "" if bits is None or bits >= 3072 else f"The host key is RSA with {bits} bits; 3072 are advised."
        return Reached(address, describe(key), warning)

    def _options(self) -> asyncssh.SSHClientConnectionOptions:
        return asyncssh.SSHClientConnectionOptions(
            config=None, client_keys=None, agent_path=None, encryption_algs=CIPHERS, mac_algs=MACS, compression_algs=None,
            gss_host=None, proxy_command=None,
            connect_timeout=self._limits.connect_s, login_timeout=self._limits.login_s,
        )  # fmt: skip

    @contextlib.asynccontextmanager
    async def login(
        self, target: Target, reached: Reached, key: LoadedKey | None, tunnel: Tunnel | None = None, *, through: bool = False
    ) -> AsyncIterator[asyncssh.SSHClientConnection]:
        """Log in to a server whose key is confirmed; one that shows another key gets no authentication packet.

        Args:   through: it is a jump host. Nothing runs there, and many go through it, some of which wait for a person: only how many log
                in at once is held back, not how many connections there are.
        Raises: DeployError: `authenticate` step codes.
        """
        host, port = target.host, target.port
        pin = asyncssh.import_public_key(reached.key.public)
        algs = _algs(reached.key.type)
        async with contextlib.AsyncExitStack() as place:
            await place.enter_async_context(self._slot(f"{reached.via}>{reached.address}" if reached.via else reached.address))
            await _ask(target)
            opening = Opening(host, port, algs)
            questions = Questions(target.username, key, target.password)
            with _translated(host, port, "authenticate", self._limits.login_s, opening, questions=questions, pin=reached.key):
                async with asyncio.timeout(self._limits.connect_s + self._limits.login_s):
                    connection = await asyncssh.connect(
                        reached.address, port, tunnel=Watched(opening, tunnel), config=None, options=self._options(),
                        known_hosts=([pin], [], []), server_host_key_algs=algs, kex_algs=KEX_ALGS, signature_algs=HOST_KEY_ALGS,
                        x509_trusted_certs=None, username=target.username, client_keys=None, client_factory=lambda: questions,
                        agent_path=None, agent_forwarding=False, x11_forwarding=False, gss_host=None, host_based_auth=False,
                        disable_trivial_auth=True, ignore_encrypted=False,
                        keepalive_interval=self._limits.keepalive_s, keepalive_count_max=3,
                    )  # fmt: skip
            if through:
                await place.aclose()
            try:
                yield connection
            finally:
                connection.close()
                try:
                    async with asyncio.timeout(5):
                        await connection.wait_closed()
                except TimeoutError:
                    connection.abort()


def _algs(kind: str) -> Sequence[str]:
    return _RSA_ALGS if kind == "ssh-rsa" else (kind,)


def _type_of(alg: str) -> str:
    return "ssh-rsa" if alg in _RSA_ALGS else alg


class _Slot:
    def __init__(self, semaphore: asyncio.Semaphore) -> None:
        self.semaphore = semaphore
        self.users = 0


def describe(key: asyncssh.SSHKey) -> HostKey:
    """Write a host key as people and stores know it."""
    line = key.export_public_key().decode().split()
    return HostKey(line[0], key.get_fingerprint(), f"{line[0]} {line[1]}")


def _rsa_bits(key: asyncssh.SSHKey) -> int | None:
    public = key.pyca_key
    return public.key_size if isinstance(public, rsa.RSAPublicKey) else None


@contextlib.contextmanager
def _translated(
    host: str,
    port: int,
    step: StepName,
    seconds: float,
    opening: Opening,
    *,
    questions: Questions | None = None,
    pin: HostKey | None = None,
) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        if opening.is_foreign:
            raise opening.refusal(step) from None
        raise failure(
            "connect_timeout" if step == "connect" else "login_timeout", step, host=host, port=port, seconds=f"{seconds:g}"
        ) from None
    except asyncssh.HostKeyNotVerifiable:
        known = pin.fingerprint if pin else "the confirmed one"
        raise failure("host_key_changed", "host_key", host=host, shown="another one", known=known) from None
    except asyncssh.ChannelOpenError as exc:
        raise failure("jump_failed", step, host=host, port=port, why=one_line(str(exc)) or "without a reason") from None
    except asyncssh.PermissionDenied as exc:
        raise (questions.denied() if questions else opening.refusal(step, str(exc))) from None
    except (asyncssh.ProtocolError, asyncssh.ProtocolNotSupported):
        raise failure("not_ssh", step, host=host, port=port) from None
    except asyncssh.DisconnectError as exc:
        if "timeout" in str(exc).lower():
            raise failure("login_timeout", step, seconds=f"{seconds:g}") from None
        raise opening.refusal(step, str(exc)) from None
    except (ConnectionResetError, BrokenPipeError):
        raise opening.refusal(step, "connection reset") from None
    except ConnectionRefusedError:
        raise failure("port_closed", step, host=host, port=port) from None
    except OSError as exc:
        if exc.errno == errno.ETIMEDOUT:
            raise failure("connect_timeout", step, host=host, port=port, seconds=f"{seconds:g}") from None
        why = exc.strerror or "network error"
        raise failure("unreachable", step, host=host, why=why[:1].lower() + why[1:]) from None


def check_host_key(target: Target, reached: Reached) -> bool:
    """Compare what the server shows with what is known.

    Returns: True: it is the known one; False: nobody knows, a person must say.
    Raises:  DeployError: it is another one.
    """
    shown = reached.key.fingerprint
    if target.pinned is not None:
        if target.pinned.public.split()[:2] != reached.key.public.split()[:2]:
            raise failure("host_key_changed", "host_key", host=target.host, shown=shown, known=target.pinned.fingerprint)
        return True
    if target.expected_fingerprint:
        if same_fingerprint(target.expected_fingerprint, shown):
            return True
        raise failure("host_key_unexpected", "host_key", host=target.host, shown=shown, expected=target.expected_fingerprint)
    return False


def same_fingerprint(given: str, shown: str) -> bool:
    """Whether a typed or pasted SHA-256 fingerprint is this one; `SHA256:` and the padding may be missing."""
    return given.strip().removeprefix("SHA256:").rstrip("=") == shown.removeprefix("SHA256:").rstrip("=")


async def _ask(target: Target) -> None:
    """Whether it is still wanted, now that the wait for a slot, or for a person, is over."""
    if target.still_wanted is not None:
        await target.still_wanted()
