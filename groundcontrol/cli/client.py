"""Connects the command to a hub: through the local socket, or with the hub's URL and a token."""

from __future__ import annotations

import argparse
import contextlib
import errno
import http
import http.client
import json
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

from groundcontrol.cli.file_permissions import reason
from groundcontrol.cli.installed import SERVICE, InstalledService, find_installed
from groundcontrol.cli.transport import TIMEOUT_S, Answer, Request, SocketTransport, Transport
from groundcontrol.data_dir import SOCKET_NAME, user_name
from spider.wire.ids import is_id

if TYPE_CHECKING:
    from groundcontrol.cli.live_socket import LiveSocket

DEFAULT_FOLDER: Final = ".stardust"
CONTROL_NAME: Final = "stardust.db"
UNREACHABLE: Final = "hub.unreachable"
TEMPORARY: Final = frozenset({UNREACHABLE, "unavailable", "request.too_many", "store.busy", "store.down"})
"""Codes of temporary failures: the hub is unreachable, starts, stops or limits requests, or its database does not answer."""
UNTRUSTED: Final = "hub.untrusted"
_MASKED: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}

MOST_NAMED: Final = 10
"""Most ids in an error about a name that several objects have."""


class CliError(Exception):
    """The command failed. The text is the whole message to the user; `code` and the hub's `facts` are for programs."""

    def __init__(self, message: str, code: str = "command.failed", facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.facts = facts or {}


class RefusedByHub(CliError):
    """The hub refused the request: a right, a policy or the present state does not allow it."""


class NotReadable(CliError):
    """The user may not read a file that the answer depends on."""

    def __init__(self, found: str, remedy: str = "run this as root") -> None:
        self.found = found
        self.remedy = remedy
        super().__init__(f"{found}: {remedy}")


class NotYours(NotReadable):
    """The user is not the owner of the data folder."""

    def __init__(self, folder: Path, owner: int) -> None:
        remedy = "run this as root" + (f" or as {user_name(owner)}" if owner else "")
        super().__init__(f"{folder} is the data folder of the user {user_name(owner)}", remedy)


def check_url(url: str) -> None:
    """Check that a token may be sent to this URL.

    Raises: CliError: the URL is invalid, has more than a host and a port, or is not encrypted.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise CliError(f"--url is not an address: {exc}") from exc
    if not host or port == 0 or parts.username is not None or parts.query or parts.fragment or parts.path.strip("/"):
        raise CliError("--url must be https://host or https://host:port, and nothing else")
    from groundcontrol.access.addresses import is_loopback  # noqa: PLC0415  # a list over the socket needs no addresses

    if parts.scheme != "https" and not (parts.scheme == "http" and (host == "localhost" or is_loopback(host))):
        raise CliError(f"--url {url}: a token is only sent over https:// (http:// to this machine)")


class HubLocation(NamedTuple):
    """The location of this machine's hub."""

    folder: Path
    service: InstalledService | None
    """The installed service with this data folder."""
    elsewhere: InstalledService | None
    """The installed service, if it has another data folder."""


def hub_location(args: argparse.Namespace) -> HubLocation:
    """Find the data folder: by flag, else from the environment, else from the installed service, else `.stardust`.

    Raises: NotReadable: the service's settings cannot be read, and nothing else names the folder.
    """
    service = find_installed()
    given = args.data_dir or os.environ.get("STARDUST_DATA_DIR")
    if given or service is None:
        folder = Path(given or DEFAULT_FOLDER)
        own = service is not None and service.data_dir is not None and folder.absolute() == service.data_dir
        return HubLocation(folder, service, None) if own else HubLocation(folder, None, service)
    if service.data_dir is None:
        found = f"the data folder of the service {SERVICE} is unknown ({'; '.join(service.faults)})"
        raise NotReadable(found, "run this as root, or name the folder with --data-dir")
    return HubLocation(service.data_dir, service, None)


class Hub:
    """An open connection to one hub."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._url: str | None = args.url
        self._location = HubLocation(Path(DEFAULT_FOLDER), None, None) if args.url is not None else hub_location(args)
        self._folder = self._location.folder
        self._tls_ca: str | None = args.tls_ca
        self._tls_pin: str | None = args.tls_pin
        self._token: str = getattr(args, "token_read", "")
        self._organisation: str | None = getattr(args, "org_slug", None) or os.environ.get("STARDUST_ORGANISATION")
        self._transport: Transport | None = None
        self._where = self._url or str(self._folder)

    async def __aenter__(self) -> Self:
        if self._url is not None:
            check_url(self._url)
            token = self._token or os.environ.get("STARDUST_TOKEN", "")
            if not token:
                raise CliError("--url needs a token in STARDUST_TOKEN, or `stardust login`")
            from groundcontrol.cli.remote import RemoteTransport  # noqa: PLC0415  # aiohttp takes longer than a list over the socket

            self._transport = RemoteTransport(self._url, token, self._tls_ca, self._tls_pin)
            return self
        if self._tls_ca or self._tls_pin:
            raise CliError("--tls-ca and --tls-pin need --url")
        path = self._folder / SOCKET_NAME
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise self._no_hub() from None
        except OSError as exc:
            raise self._denied(exc) from exc
        self._transport = SocketTransport(path)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._transport is not None:
            await self._transport.close()

    def _no_hub(self) -> CliError:
        """The error for a missing hub. A new hub is proposed only if none has run in this folder, and no hub with a known folder is installed."""
        service, elsewhere = self._location.service, self._location.elsewhere
        if service is not None:
            what = f"the service {SERVICE} is stopped or starting: look with `systemctl status {SERVICE}` and `journalctl -u {SERVICE}`"
        elif os.path.exists(self._folder / CONTROL_NAME):
            what = "it is stopped or starting: look at its log, and start it the way it was started before"
        elif elsewhere is not None and elsewhere.data_dir is not None:
            what = (
                f"no hub has run there; the data folder of the service {SERVICE} is {elsewhere.data_dir}:"
                " leave out --data-dir and STARDUST_DATA_DIR"
            )
        else:
            what = "no hub has run there: name the right folder with --data-dir (`stardust start` makes a new hub, `stardust login` uses one on another machine)"
        return CliError(f"no hub answers in the data folder {self._folder}: {what}", UNREACHABLE)

    def _denied(self, exc: OSError) -> CliError:
        """The error for an inaccessible socket. Whether a hub runs there is unknown."""
        with contextlib.suppress(OSError):
            owner = self._folder.stat().st_uid
            if isinstance(exc, PermissionError) and os.geteuid() not in (0, owner):
                return NotYours(self._folder, owner)
        return CliError(f"the data folder {self._folder} cannot be used: {reason(exc)}")

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """Send GET, and return the JSON answer."""
        return await self._call("GET", path, params=params)

    async def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> Any:
        """Send POST, and return the JSON answer. `body`: None: no body."""
        return await self._call("POST", path, body, headers=headers)

    async def put(self, path: str, body: object) -> Any:
        """Send PUT, and return the JSON answer."""
        return await self._call("PUT", path, body)

    async def patch(self, path: str, body: object) -> Any:
        """Send PATCH, and return the JSON answer."""
        return await self._call("PATCH", path, body)

    async def delete(self, path: str, body: object = None, params: Mapping[str, str] | None = None) -> Any:
        """Send DELETE, and return the JSON answer; None: the answer is empty."""
        return await self._call("DELETE", path, body, params=params)

    @property
    def named(self) -> dict[str, str]:
        """The header that names the organisation, if one is given."""
        return {} if self._organisation is None else {"Stardust-Organisation": self._organisation}

    async def health(self) -> tuple[int, Any]:
        """The HTTP status and the JSON answer of /healthz."""
        with self._errors():
            answer = await self._open.ask(Request("GET", "/healthz", {}, None, {}))
        return answer.status, _json(answer)

    async def pieces(self, path: str, params: Mapping[str, str]) -> AsyncIterator[bytes]:
        """The bytes of an answer, unchanged, as they arrive."""
        refusal = b""
        with self._errors():
            async for answer in self._open.pieces(Request("GET", "/api/v1" + path, params, None, self.named)):
                if answer.status >= 400:
                    refusal += answer.body
                elif answer.body:
                    yield answer.body
        if answer.status >= 400:
            self._check(Answer(answer.status, refusal))

    @contextlib.asynccontextmanager
    async def live(self) -> AsyncIterator[LiveSocket]:
        """The hub's live socket."""
        from groundcontrol.cli.live_socket import connected  # noqa: PLC0415  # aiohttp takes longer than a list over the socket

        with self._errors():
            async with connected(self._open, self.named) as socket:
                yield socket

    async def every(self, path: str, name: str, params: Mapping[str, str] | None = None) -> AsyncIterator[Any]:
        """Every item of a list, page by page."""
        cursor: str | None = None
        while True:
            query = {**(params or {}), "limit": "500", **({"cursor": cursor} if cursor else {})}
            page = await self.get(path, query)
            for item in page[name]:
                yield item
            cursor = page["next"]
            if not cursor:
                return

    async def _call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        data = None if body is None else json.dumps(body).encode()
        described = {**self.named, **(headers or {}), **({} if data is None else {"Content-Type": "application/json"})}
        with self._errors():
            answer = await self._open.ask(Request(method, "/api/v1" + path, params or {}, data, described))
        self._check(answer)
        return None if answer.status == 204 else _json(answer)

    @property
    def _open(self) -> Transport:
        assert self._transport is not None
        return self._transport

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as exc:
            raise CliError(f"the hub at {self._where} did not answer within {TIMEOUT_S:.0f} s", UNREACHABLE) from exc
        except (http.client.HTTPException, ConnectionError, FileNotFoundError, PermissionError) as exc:
            if self._url is None and getattr(exc, "errno", None) in (errno.ECONNREFUSED, errno.ENOENT):
                raise self._no_hub() from exc  # the hub was killed and left its socket, or has just removed it
            if self._url is None and isinstance(exc, PermissionError):
                raise self._denied(PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self._folder / SOCKET_NAME))) from exc
            raise CliError(f"no hub answers at {self._where}: {str(exc) or type(exc).__name__}", UNREACHABLE) from exc

    def _check(self, answer: Answer) -> None:
        if answer.status < 400:
            return
        try:
            problem = json.loads(answer.body)
            if problem["code"] == "organisation.required":
                problem["detail"] = f"name an organisation with --org NAME: {', '.join(problem['facts']['organisations'])}"
            elif problem["code"] == "organisation.unknown" and self._organisation is not None:
                problem["detail"] = (
                    f"you belong to no organisation {self._organisation}: leave out --org to work in yours, or to see which you have"
                )
            kind = RefusedByHub if answer.status in (http.HTTPStatus.FORBIDDEN, http.HTTPStatus.CONFLICT) else CliError
            raise kind(shown(str(problem["detail"])), shown(str(problem["code"])), problem.get("facts"))
        except (ValueError, KeyError, TypeError):
            raise CliError(f"the hub at {self._where} answered with status {answer.status}", UNREACHABLE) from None


def _json(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)
    except ValueError:
        raise CliError("the server at this address is not a Stardust hub", UNREACHABLE) from None


def shown(text: str) -> str:
    """Make text of a node or hub safe for this terminal: control characters are escaped."""
    return text.translate(_MASKED)


def is_meant(node: Any, wanted: str) -> bool:
    """Whether a node (or another object) has this id or name. A word in the form of an id is never compared with names."""
    return bool(wanted == node["id" if is_id(wanted) else "name"])


def one_named(items: Iterable[Any], wanted: str, noun: str, listed: str) -> Any:
    """The one item of a list that has this id or name. Roll-outs of one policy share a name: the one that has not ended is meant.

    Args:   noun: what an item is, in texts. listed: the verb that lists the items.
    Raises: CliError: none has it (`not_found`), or several have this name.
    """
    found = [one for one in items if is_meant(one, wanted)]
    if not found:
        raise CliError(f"there is no {noun} {shown(wanted)}; `stardust {listed}` lists them", "not_found")
    under_way = [one for one in found if one.get("ended_at", 0) is None]
    if len(found) > 1 and len(under_way) != 1:
        ids = [f"{one['id']} ({one['state']})" if "state" in one else one["id"] for one in found]
        more = f" and {len(ids) - MOST_NAMED} more" if len(ids) > MOST_NAMED else ""
        raise CliError(
            f"{len(ids)} have the name {shown(wanted)}: give the id of one {noun}: {', '.join(ids[:MOST_NAMED])}{more}", "command.usage"
        )
    return (under_way or found)[0]


async def id_of(hub: Hub, wanted: str, path: str, name: str, *, noun: str, listed: str, params: Mapping[str, str] | None = None) -> str:
    """The id of the one object of a list of the hub that has this id or name.

    Args:   path, name, params: as of `Hub.every`. noun, listed: as of `one_named`.
    Raises: CliError: as `one_named`. An id is not looked up here: the hub refuses an unknown one.
    """
    if is_id(wanted):
        return wanted
    return str(one_named([one async for one in hub.every(path, name, params)], wanted, noun, listed)["id"])


def selected(nodes: Sequence[Any], selectors: Sequence[str]) -> list[Any]:
    """The nodes that selectors match, each once, in the order of the selectors: `options.SELECTOR` lists the forms.

    Raises: CliError: a selector is empty (`command.usage`), or matches nothing (`selector.nothing`).
    """
    chosen: dict[str, Any] = {}
    for selector in (part.strip() for word in selectors for part in word.split(",")):
        if not selector:
            raise CliError("a selector of nodes is empty: name a node, or '*' for every node", "command.usage")
        exact = [node for node in nodes if is_meant(node, selector)]
        found = exact or [node for node in nodes if _matches(node, selector)]
        if not found:
            raise CliError(f"there is no node {shown(selector)!r}; `stardust nodes` lists them, and nothing was done", "selector.nothing")
        chosen |= {node["id"]: node for node in found}
    return list(chosen.values())


def is_pattern(selectors: Sequence[str]) -> bool:
    """Whether selectors may match more nodes than they name."""
    return any(letter in selector for selector in selectors for letter in "*?[:")


def _matches(node: Any, selector: str) -> bool:
    kind, colon, value = selector.partition(":")
    if colon and kind == "tag":
        return value in node["tags"]
    if colon and kind == "state":
        return bool(value == ("waiting" if node["waiting"] else node["state"]) or (value == "reconnecting" and node["reconnecting"]))
    if colon and kind == "health":
        return bool(value == node["health"]["level"])
    return fnmatchcase(node["name"], selector)


async def nodes_of(hub: Hub, selectors: Sequence[str]) -> list[Any]:
    """The nodes of the hub that selectors match.

    Raises: CliError: as `selected`.
    """
    return selected([node async for node in hub.every("/nodes", "nodes")], selectors)


async def node_of(hub: Hub, selector: str) -> Any:
    """The one node that a selector matches.

    Raises: CliError: it matches none or several.
    """
    found = await nodes_of(hub, [selector])
    if len(found) > 1:
        raise CliError(f"{shown(selector)!r} matches {len(found)} nodes, and this is for one: name it", "command.usage")
    return found[0]
