"""SSH connections: check the address, then read the host key without a log-in, then log in to a server with that key only."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Final, NamedTuple

import asyncssh
from cryptography.hazmat.primitives.asymmetric import rsa

from majortom.errors import failure, one_line
from majortom.interfaces import DeployError, HostKey, StepName, Target
from majortom.ssh.dns import addresses_of
from majortom.ssh.login_questions import Questions
from majortom.ssh.private_keys import LoadedKey, OpenKeys
from majortom.ssh.server_opening import CIPHERS, HOST_KEY_ALGS, KEX_ALGS, MACS, ServerOpening, WatchedTunnel

_RSA_ALGS: Final = ("rsa-sha2-512", "rsa-sha2-256")

SHARED_S: Final = 60.0
"""How long deployments share the host key that a jump host showed. All deployments of a batch begin within that time."""

AddressRule = Callable[[str], str | None]
"""Takes an IP address; returns why it is not allowed, or None."""


class Limits(NamedTuple):
    """Time limits in seconds, and a limit on connections."""

    connect_s: float = 15.0
    login_s: float = 30.0
    step_s: float = 120.0
    python_s: float = 600.0
    verify_s: float = 30.0
    whole_s: float = 900.0
    """Does not include the time in which a person compares the fingerprint."""
    undo_s: float = 90.0
    rollback_s: float = 600.0
    """The server rolls back an unfinished installation by itself this long after the last step."""
    keepalive_s: float = 15.0
    at_once: int = 8
    """Most connections to one address at the same time. By default sshd refuses more than ten that have not logged in."""


Tunnel = asyncssh.SSHClientConnection
"""A connection to a jump host that carries one other connection."""


class ReachedServer(NamedTuple):
    """The address of a server, and its host key."""

    address: str
    key: HostKey
    warning: str
    via: str = ""
    """The address of the jump host."""
    contacted: bool = True
    """False: the server was not contacted. `key` is the known key, and the log-in shows whether the server still has it."""


class Connector:
    """Opens connections, and limits how many are open to each address."""

    def __init__(self, limits: Limits, rule: AddressRule) -> None:
        self._limits = limits
        self._rule = rule
        self._slots: dict[str, _Slot] = {}
        self._at_work: set[tuple[str, int]] = set()
        self._shared_keys: dict[tuple[str, int], _SharedHostKey] = {}
        self.keys = OpenKeys()

    @contextlib.contextmanager
    def alone(self, reached: ReachedServer, port: int) -> Iterator[None]:
        """Be the only deployment to this address. A second deployment would remove the unfinished work of the first.

        Raises: DeployError: another deployment to this address is running.
        """
        key = (f"{reached.via}>{reached.address}", port)
        if key in self._at_work:
            raise failure("busy", "connect")
        self._at_work.add(key)
        try:
            yield
        finally:
            self._at_work.discard(key)

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

    async def reach(self, target: Target, tunnel: Tunnel | None = None, via: str = "", *, through: bool = False) -> ReachedServer:
        """Connect to the server and get its host key, without authentication.

        A server may have several keys. If one of them is expected, its type is requested first. A server with a known key and one address
        is not contacted, because an sshd penalises addresses that connect and do not log in.
        Args:   tunnel: the connection to the jump host, through which the server is reached. via: the jump host's address.
                through: the server is a jump host. Many deployments need it at the same time, and share its host key.
        Raises: DeployError: `connect` step codes.
        """
        host, port = target.host, target.port
        if tunnel is not None:
            if _is_address(host) and (why := self._rule(host)):
                raise failure("target_not_allowed", "connect", host=host, why=why)
            if target.pinned is not None:
                return ReachedServer(host, target.pinned, "", via, contacted=False)
            async with self._slot(f"{via}>{host}"):  # names are resolved by the jump host; other machines may not know them
                await _check_wanted(target)
                return (await self._first_or_expected(target, host, tunnel))._replace(via=via)
        addresses = await self._resolve(host)
        for why in filter(None, map(self._rule, addresses)):
            raise failure("target_not_allowed", "connect", host=host, why=why)
        if target.pinned is not None and len(addresses) == 1:
            return ReachedServer(addresses[0], target.pinned, "", contacted=False)
        last: DeployError | None = None
        for address in addresses:
            try:
                if through:
                    async with self._recent_host_key((address, port)) as shared:
                        if shared.reached is None or not _confirms(target, shared.reached):
                            shared.reached = await self._fetch_host_key(target, address)
                            shared.at = asyncio.get_running_loop().time()
                        return shared.reached
                return await self._fetch_host_key(target, address)
            except DeployError as exc:
                last = last or exc
        raise last or failure("host_unknown", "connect", host=host)

    async def _fetch_host_key(self, target: Target, address: str) -> ReachedServer:
        async with self._slot(address):
            await _check_wanted(target)
            return await self._first_or_expected(target, address, None)

    @contextlib.asynccontextmanager
    async def _recent_host_key(self, key: tuple[str, int]) -> AsyncIterator[_SharedHostKey]:
        """The host key that a jump host showed within `SHARED_S`. One deployment requests it, and the others wait."""
        now = asyncio.get_running_loop().time()
        for other, shared in list(self._shared_keys.items()):
            if shared.at + SHARED_S < now and not shared.lock.locked():
                del self._shared_keys[other]
        shared = self._shared_keys.setdefault(key, _SharedHostKey(asyncio.Lock(), now))
        async with shared.lock:
            yield shared

    async def _first_or_expected(self, target: Target, address: str, tunnel: Tunnel | None) -> ReachedServer:
        host, port = target.host, target.port
        algs = HOST_KEY_ALGS if target.pinned is None else _algs_from(target.pinned.type)
        first = await self._host_key(host, address, port, algs, tunnel)
        if _confirms(target, first):
            return first
        for kind in dict.fromkeys(_type_of(alg) for alg in HOST_KEY_ALGS):
            if kind != first.key.type:
                with contextlib.suppress(DeployError):
                    other = await self._host_key(host, address, port, _algs(kind), tunnel)
                    if _confirms(target, other):
                        return other
        return first

    async def _resolve(self, host: str) -> list[str]:
        try:
            return await addresses_of(host, self._limits.connect_s)
        except (OSError, UnicodeError, TimeoutError):
            raise failure("host_unknown", "connect", host=host) from None

    async def _host_key(self, host: str, address: str, port: int, algs: Sequence[str], tunnel: Tunnel | None) -> ReachedServer:
        opening = ServerOpening(host, port, algs)
        with _translated(host, port, "connect", self._limits.connect_s, opening):
            async with asyncio.timeout(self._limits.connect_s):
                key = await asyncssh.get_server_host_key(
                    address, port, tunnel=WatchedTunnel(opening, tunnel), config=None, options=self._options(),
                    kex_algs=KEX_ALGS, server_host_key_algs=algs,
                )  # fmt: skip
        if key is None:
            raise failure("not_ssh", "connect", host=host, port=port)
        bits = _rsa_bits(key)
        if bits is not None and bits < 2048:
            raise failure("host_key_weak", "host_key", host=host, bits=bits)
        warning = "" if bits is None or bits >= 3072 else f"The host key is RSA with {bits} bits; 3072 are advised."
        return ReachedServer(address, describe(key), warning)

    def _options(self) -> asyncssh.SSHClientConnectionOptions:
        return asyncssh.SSHClientConnectionOptions(
            config=None, client_keys=None, agent_path=None, encryption_algs=CIPHERS, mac_algs=MACS, compression_algs=None,
            gss_host=None, proxy_command=None,
            connect_timeout=self._limits.connect_s, login_timeout=self._limits.login_s,
        )  # fmt: skip

    @contextlib.asynccontextmanager
    async def login(
        self, target: Target, reached: ReachedServer, key: LoadedKey | None, tunnel: Tunnel | None = None, *, through: bool = False
    ) -> AsyncIterator[asyncssh.SSHClientConnection]:
        """Log in to a server whose key is confirmed. A server with another key gets no authentication packet.

        Args:   through: the server is a jump host. Many connections go through it, and some wait for a person. So the limit counts only
            concurrent log-ins, not connections.
        Raises: DeployError: `authenticate` step codes.
        """
        host, port = target.host, target.port
        pin = asyncssh.import_public_key(reached.key.public)
        algs = _algs_from(reached.key.type)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._slot(f"{reached.via}>{reached.address}" if reached.via else reached.address))
            await _check_wanted(target)
            opening = ServerOpening(host, port, algs)
            questions = Questions(target.username, key, target.password)
            translator = _translated(host, port, "authenticate", self._limits.login_s, opening, questions=questions, reached=reached)
            with _first_contact(reached, opening), translator:
                async with asyncio.timeout(self._limits.connect_s + self._limits.login_s):
                    connection = await asyncssh.connect(
                        reached.address, port, tunnel=WatchedTunnel(opening, tunnel), config=None, options=self._options(),
                        known_hosts=([pin], [], []), server_host_key_algs=algs, kex_algs=KEX_ALGS, signature_algs=HOST_KEY_ALGS,
                        x509_trusted_certs=None, username=target.username, client_keys=None, client_factory=lambda: questions,
                        agent_path=None, agent_forwarding=False, x11_forwarding=False, gss_host=None, host_based_auth=False,
                        disable_trivial_auth=True, ignore_encrypted=False,
                        keepalive_interval=self._limits.keepalive_s, keepalive_count_max=3,
                    )  # fmt: skip
            if through:
                await stack.aclose()
            try:
                yield connection
            finally:
                connection.close()
                try:
                    async with asyncio.timeout(5):
                        await connection.wait_closed()
                except TimeoutError:
                    connection.abort()


@contextlib.contextmanager
def _first_contact(reached: ReachedServer, opening: ServerOpening) -> Iterator[None]:
    """Name the step of an error. If the log-in is the first contact with the server, and it does not answer, that is `connect`."""
    try:
        yield
    except DeployError as exc:
        if reached.contacted or opening.version:
            raise
        raise DeployError(exc.code, exc.message, "connect", at_jump_host=exc.at_jump_host) from None


def _algs(kind: str) -> Sequence[str]:
    return _RSA_ALGS if kind == "ssh-rsa" else (kind,)


def _algs_from(kind: str) -> Sequence[str]:
    """The algorithms of all key types, this type first. A server that has a key of this type then shows it."""
    return (*_algs(kind), *(alg for alg in HOST_KEY_ALGS if alg not in _algs(kind)))


def _confirms(target: Target, reached: ReachedServer) -> bool:
    """Whether the target expects the key that this server shows, or expects no key."""
    if target.pinned is not None or not target.expected_fingerprint:
        return True
    return same_fingerprint(target.expected_fingerprint, reached.key.fingerprint)


def _type_of(alg: str) -> str:
    return "ssh-rsa" if alg in _RSA_ALGS else alg


class _SharedHostKey:
    """The host key that a jump host has shown, and when."""

    def __init__(self, lock: asyncio.Lock, at: float) -> None:
        self.lock = lock
        self.at = at
        self.reached: ReachedServer | None = None


class _Slot:
    def __init__(self, semaphore: asyncio.Semaphore) -> None:
        self.semaphore = semaphore
        self.users = 0


def describe(key: asyncssh.SSHKey) -> HostKey:
    """Describe a host key in the form in which it is shown and stored."""
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
    opening: ServerOpening,
    *,
    questions: Questions | None = None,
    reached: ReachedServer | None = None,
) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        if opening.is_foreign:
            raise opening.refusal(step) from None
        raise failure(
            "connect_timeout" if step == "connect" or not opening.version else "login_timeout",
            step,
            host=host,
            port=port,
            seconds=f"{seconds:g}",
        ) from None
    except asyncssh.HostKeyNotVerifiable:
        known = reached.key.fingerprint if reached else "the confirmed one"
        shown = (questions and questions.shown) or "another one"
        raise failure("host_key_changed", "host_key", host=host, shown=shown, known=known) from None
    except asyncssh.ChannelOpenError as exc:
        raise failure("jump_failed", step, host=host, port=port, why=one_line(str(exc)) or "without a reason") from None
    except asyncssh.PermissionDenied as exc:
        raise (questions.denied() if questions else opening.refusal(step, str(exc))) from None
    except asyncssh.DisconnectError as exc:
        if not opening.version and isinstance(exc, asyncssh.ProtocolError):
            raise failure("not_ssh", step, host=host, port=port) from None
        if "timeout" in str(exc).lower():
            raise failure("login_timeout", step, seconds=f"{seconds:g}") from None
        raise (questions and questions.broken_off(str(exc))) or opening.refusal(step, str(exc)) from None
    except (ConnectionResetError, BrokenPipeError):
        raise (questions and questions.broken_off("connection reset")) or opening.refusal(step, "connection reset") from None
    except ConnectionRefusedError:
        raise failure("port_closed", step, host=host, port=port) from None
    except OSError as exc:
        if exc.errno == errno.ETIMEDOUT:
            raise failure("connect_timeout", step, host=host, port=port, seconds=f"{seconds:g}") from None
        why = exc.strerror or "network error"
        raise failure("unreachable", step, host=host, why=why[:1].lower() + why[1:]) from None


def check_host_key(target: Target, reached: ReachedServer) -> bool:
    """Compare the server's host key with the known one.

    Returns: True: the key is the known one; False: no key is known, so a person must confirm it.
    Raises:  DeployError: the key differs from the known one.
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
    """Whether a typed or pasted SHA-256 fingerprint equals this one; `SHA256:` and the padding may be missing."""
    return given.strip().removeprefix("SHA256:").rstrip("=") == shown.removeprefix("SHA256:").rstrip("=")


async def _check_wanted(target: Target) -> None:
    """Check that the deployment is still wanted after the wait for a slot or a person."""
    if target.ensure_wanted is not None:
        await target.ensure_wanted()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
