"""Validates deployment requests, and merges overrides into earlier fields."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final, Literal

import idna

from groundcontrol.core.addresses import is_address, plain
from groundcontrol.core.audit import AuditEntry
from groundcontrol.core.errors import BadRequest
from groundcontrol.core.scope import Scope
from groundcontrol.core.text import clean, is_visible
from groundcontrol.deployments.errors import CredentialsRequired, JumpCredentialsRequired
from groundcontrol.deployments.model import (
    INSTALL_STEPS,
    REMOVE_STEPS,
    Deployment,
    DeploymentOptions,
    DeploymentOverrides,
    DeploymentRequest,
    HostKey,
    Jump,
    JumpRequest,
)
from groundcontrol.deployments.policy_file import check_lines
from groundcontrol.deployments.transitions import new_deployment
from groundcontrol.nodes.checks import MAX_NAME_CHARS, checked_name, checked_new_tags
from groundcontrol.nodes.model import Node
from majortom import interfaces
from majortom.interfaces import DeployError, Secret, Target
from majortom.ssh.connect import same_fingerprint
from majortom.ssh.private_keys import read_header

MAX_SECRET_CHARS: Final = 1024
CREDENTIALS: Final = ("private_key", "passphrase", "password", "sudo_password", "certificate")
GIVEN_LOGIN: Final = ("private_key", "passphrase", "password", "certificate")
"""Fields that the hub's own SSH key replaces."""
ANY_OF: Final = ("private_key", "password")
"""A login needs at least one of these fields."""
MAX_CERTIFICATE_CHARS: Final = 16 * 1024
MAX_HOST_CHARS: Final = 253
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9.])?|[0-9A-Fa-f:.]{2,45}(%[A-Za-z0-9._-]{1,32})?")
_PROXY: Final = re.compile(r"http://(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9][A-Za-z0-9.-]{0,252}):[0-9]{1,5}")
"""The form of a proxy in `spider.conf`."""
_NUMBER_LAST: Final = re.compile(r"(?:.*\.)?(?:\d+|0[xX][0-9A-Fa-f]*)\.?")
"""Names that the system's resolver reads as an IPv4 address, including old forms: `10.1` is 10.0.0.1."""
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,63}\$?")
_FINGERPRINT: Final = re.compile(r"(SHA256:)?[A-Za-z0-9+/]{43}=?")
_REFUSED_KEYS: Final = ("key_too_large", "key_kdf_rounds")
"""Errors of a key that refuse the request. Other errors fail the deployment, and a retry can correct them."""


def check_request(request: DeploymentRequest) -> DeploymentRequest:
    """Validate a request. Returns: the request with trimmed texts, hosts in their DNS form, and the host as the name if it has none.

    Raises: BadRequest: its detail `field` is the invalid field.
    """
    typed = _bare(request.host)
    request = replace(request, host=_checked_host(typed, ""), username=request.username.strip())
    _check_login(request, request.username, "")
    if request.jump is not None:
        jump = replace(request.jump, host=_checked_host(_bare(request.jump.host), "jump."))
        request = replace(request, jump=jump)
        _check_login(jump, request.username if jump.username is None else jump.username, "jump.")
    if request.proxy is not None:
        request = replace(request, proxy=check_proxy(request.proxy))
    _check_hub_key(request)
    name = clean(typed, MAX_NAME_CHARS) if request.name is None else request.name.strip()
    check_lines(request.lines)
    if request.again:  # the node has its name and tags already
        return replace(request, name=name)
    return replace(request, name=checked_name(name), tags=checked_new_tags(request.tags))


def _check_hub_key(request: DeploymentRequest) -> None:
    given = [name for name in GIVEN_LOGIN if getattr(request, name) is not None]
    if request.use_hub_key and given:
        raise BadRequest(f"the hub's own SSH key is used in place of a {given[0].replace('_', ' ')}: give only one of them", field=given[0])


def _bare(host: str) -> str:
    """The host without the brackets that an IPv6 address may have, as in an address with a port."""
    host = host.strip()
    return host[1:-1] if host.startswith("[") and host.endswith("]") and ":" in host else host


def _checked_host(typed: str, prefix: str) -> str:
    """Validate a host. Returns: its form in DNS.

    Raises: BadRequest.
    """
    host = ascii_host(typed)
    if not is_visible(typed):
        raise BadRequest(f"{prefix}host contains a character that cannot be seen: type the host again", field=f"{prefix}host")
    if ":" in host and not is_address(host):
        raise BadRequest(f"{prefix}host is a name or an address without a port: the port has its own field", field=f"{prefix}host")
    if not is_host(typed):
        raise BadRequest(f"{prefix}host must be a host name or an IP address", field=f"{prefix}host")
    return host


def _check_login(login: DeploymentRequest | JumpRequest, username: str, prefix: str) -> None:
    if not 0 < login.port < 65536:
        raise BadRequest(f"{prefix}port must be 1 to 65535", field=f"{prefix}port")
    if not _USER.fullmatch(username):
        raise BadRequest(f"{prefix}username must be the name of an account on the server", field=f"{prefix}username")
    if login.host_key is not None and not _FINGERPRINT.fullmatch(login.host_key.strip()):
        raise BadRequest(f"{prefix}host_key must be a fingerprint such as ssh-keygen -lf prints: SHA256:…", field=f"{prefix}host_key")
    for field in ("passphrase", "password", "sudo_password"):
        value = getattr(login, field, None)
        if value is not None and (len(value) > MAX_SECRET_CHARS or "\n" in value or "\0" in value):
            raise BadRequest(f"{prefix}{field} must be one line of at most {MAX_SECRET_CHARS} characters", field=prefix + field)
    if login.certificate is not None and len(login.certificate) > MAX_CERTIFICATE_CHARS:
        raise BadRequest(f"{prefix}certificate has more than {MAX_CERTIFICATE_CHARS} characters", field=f"{prefix}certificate")
    _check_key(login.private_key, prefix)


def _check_key(text: str | None, prefix: str) -> None:
    if text is None:
        return
    try:
        read_header(text)
    except DeployError as exc:
        if exc.code in _REFUSED_KEYS:
            raise BadRequest(exc.message, field=f"{prefix}private_key", reason=exc.code) from None


def check_proxy(text: str) -> str | None:
    """Validate a proxy. Returns: its URL, trimmed; None: the text is empty.

    Raises: BadRequest.
    """
    text = text.strip().rstrip("/")
    if text and not proxy_of(text):
        raise BadRequest("proxy must be http://host:port, without a user name", field="proxy")
    return text or None


def proxy_of(text: str) -> str:
    """A proxy that a server reports or a user names, if it is valid; else an empty text."""
    return text if _PROXY.fullmatch(text) and 0 < int(text.rpartition(":")[2]) < 65536 else ""


def ascii_host(text: str) -> str:
    """Convert a name with non-ASCII letters to its DNS form (IDNA 2008). Any other text is returned unchanged."""
    if text.isascii() or len(text) > MAX_HOST_CHARS:
        return text
    try:
        return idna.encode(text, uts46=True).decode()
    except idna.IDNAError:
        return text


def is_host(text: str) -> bool:
    """Whether this is a valid host name or IP address. A text that ends in a number must be a complete decimal address."""
    host = ascii_host(text)
    if not is_visible(text) or ".." in host or _HOST.fullmatch(host) is None:
        return False
    return is_address(host) or _NUMBER_LAST.fullmatch(host) is None


def one_spelling(host: str) -> str:
    """The canonical form of a host, for comparisons: IDNA for names, the short form for addresses."""
    name = ascii_host(_bare(host)).casefold().removesuffix(".")
    return plain(name) if is_address(name) else name


def is_username(text: str) -> bool:
    """Whether this is a valid account name."""
    return _USER.fullmatch(text) is not None


def is_fingerprint(text: str) -> bool:
    """Whether this is a valid fingerprint of a host key."""
    return _FINGERPRINT.fullmatch(text.strip()) is not None


def merge(request: DeploymentRequest, given: DeploymentOverrides | None, pinned: HostKey | None) -> DeploymentRequest:
    """Replace the earlier fields by the overrides.

    A new key drops the old passphrase and certificate. Another host, port, jump host or host key drops the old fingerprint and all credentials: perhaps
    another user entered them.
    """
    if given is None:
        return request
    if request.name == request.host and given.host is not None:
        request = replace(request, name=None)
    changes = {name: value for name, value in vars(given).items() if value is not None}
    if given.private_key is not None:
        changes.setdefault("passphrase", None)
        changes.setdefault("certificate", None)
    if given.policy is not None:
        changes["own_policy"] = False
    if given.lines is not None:
        changes["lines"] = request.lines._replace(**{name: value for name, value in given.lines._asdict().items() if value is not None})
    if given.use_hub_key:
        for name in GIVEN_LOGIN:
            changes.setdefault(name, None)
    elif given.private_key is not None or given.password is not None:
        changes["use_hub_key"] = False
    changes.pop("direct")
    changes.pop("jumps")
    jump = given.jump or next((one for one in given.jumps if _same_jump(request.jump, one)), None)
    if given.direct:
        changes["jump"] = None
    elif jump is not None:
        changes["jump"] = _merge_jump(request.jump, jump)
    if not same_server(request, given, pinned):
        for name in ("host_key", *CREDENTIALS):
            changes.setdefault(name, None)
        changes.setdefault("use_hub_key", False)
    return replace(request, **changes)


def with_typed_credentials(request: DeploymentRequest, given: DeploymentOverrides | None) -> DeploymentRequest:
    """The request with no secrets for the server but those of this call. Kept credentials and the hub's own key never change a policy file.

    Raises: CredentialsRequired.
    """
    if given is None or not any(getattr(given, name) for name in ANY_OF):
        raise CredentialsRequired(
            "the policy file belongs to the server's owner, so kept credentials and the hub's key do not change it:"
            " give a user with a private key or password (and the sudo password if it is needed) in the same request",
            give=list(ANY_OF),
        )
    return replace(request, use_hub_key=False, **{name: getattr(given, name) for name in CREDENTIALS})


def _merge_jump(before: JumpRequest | None, given: JumpRequest) -> JumpRequest:
    """The merged jump host. The same host keeps its earlier fields; another host gets none of them."""
    if before is None or not _same_jump(before, given):
        return given
    inherited = {name: getattr(before, name) for name in vars(before) if getattr(given, name) is None} | {"own_login": before.own_login}
    if given.private_key is not None:
        inherited.update(passphrase=given.passphrase, certificate=given.certificate)
    return replace(given, **inherited)


def _keeps_jump(before: JumpRequest | Jump | None, given: DeploymentOverrides) -> bool:
    """Whether the jump host is unchanged. Behind another jump host, the same address is another server."""
    if given.direct:
        return before is None
    return given.jump is None or _same_jump(before, given.jump)


def _same_jump(before: JumpRequest | Jump | None, given: JumpRequest) -> bool:
    if before is None or (before.host, before.port) != (given.host, given.port):
        return False
    if isinstance(before, Jump):
        trusted = before.host_key.fingerprint if before.host_key else before.expected
    else:
        trusted = before.pinned.fingerprint if before.pinned else before.host_key
    return given.host_key is None or (trusted is not None and same_fingerprint(given.host_key, trusted))


def same_server(request: DeploymentRequest, given: DeploymentOverrides | None, pinned: HostKey | None) -> bool:
    """Whether the overrides keep the server, so that its host key and credentials still apply.

    Args: pinned: the host key trusted so far; None: the fingerprint of the request was trusted.
    """
    if given is None:
        return True
    if given.host not in (None, request.host) or given.port not in (None, request.port):
        return False
    if not _keeps_jump(request.jump, given):
        return False
    trusted = request.host_key if pinned is None else pinned.fingerprint
    return given.host_key is None or (trusted is not None and same_fingerprint(given.host_key, trusted))


def redirects(row: Deployment, given: DeploymentOverrides) -> bool:
    """Whether the overrides redirect a deployment: to another host, port, jump host or host key."""
    if given.host not in (None, row.host) or given.port not in (None, row.port):
        return True
    if not _keeps_jump(row.options.jump, given):
        return True
    if given.host_key is None:
        return False
    trusted = row.host_key.fingerprint if row.host_key is not None and row.host_key_confirmed else row.options.host_key
    return trusted is None or not same_fingerprint(given.host_key, trusted)


def not_sent_there(request: DeploymentRequest) -> CredentialsRequired:
    """The error for a redirected request without its own credentials."""
    return CredentialsRequired(
        f"{request.host} port {request.port} is another server than before, or must present another host key, so the earlier credentials are"
        " not sent there: give a private key or password (and passphrase, sudo password if they are needed) in the same request",
        give=list(ANY_OF),
        dropped=list(CREDENTIALS),
    )


def redirected(scope: Scope, row: Deployment, request: DeploymentRequest) -> AuditEntry:
    """The audit entry of a retry that goes to another server."""
    before = {"host": row.host, "port": row.port, "fingerprint": row.host_key.fingerprint if row.host_key else None,
              "jump": row.options.jump and row.options.jump.host}  # fmt: skip
    after = {"host": request.host, "port": request.port, "fingerprint": request.host_key, "jump": request.jump and request.jump.host}
    return AuditEntry(scope.actor, "deployment.redirect", row.id, "done", {"before": before, "after": after})


def options_of(request: DeploymentRequest) -> DeploymentOptions:
    """The options of a request that are stored with its deployment."""
    jump = request.jump
    via = None if jump is None else Jump(
        jump.host, jump.port, jump.username or request.username, jump.pinned, jump.host_key, _has_login(jump) or jump.own_login
    )  # fmt: skip
    return DeploymentOptions(
        **{**{field: getattr(request, field) for field in DeploymentOptions._fields if field not in ("earlier", "found")}, "jump": via}
    )


def requested(
    scope: Scope, request: DeploymentRequest, at: float, *, kind: Literal["install", "remove"] = "install", node: Node | None = None,
    batch: str | None = None,
) -> Deployment:  # fmt: skip
    """A new deployment for a request at Unix time `at`, not begun yet.

    Args: node: the node on the server; None: the deployment creates it.
    """
    return new_deployment(
        scope, kind, INSTALL_STEPS if kind == "install" else REMOVE_STEPS, host=request.host, port=request.port, username=request.username,
        name=node.name if node else request.name or request.host, options=options_of(request), node=node and node.id, at=at, batch=batch,
    )  # fmt: skip


def earlier_request(row: Deployment) -> DeploymentRequest:
    """The request of a deployment, rebuilt from its row without the secrets."""
    jump = row.options.jump
    jump_request = (
        None
        if jump is None
        else JumpRequest(
            host=jump.host, port=jump.port, username=jump.username, host_key=jump.expected, pinned=jump.host_key, own_login=jump.own_login
        )
    )
    options = {name: value for name, value in {**row.options._asdict(), "jump": jump_request}.items() if name not in ("earlier", "found")}
    return DeploymentRequest(host=row.host, port=row.port, username=row.username, name=row.name, **options)


def has_credentials(request: DeploymentRequest) -> bool:
    """Whether the request has a key or a password, or uses the hub's own SSH key."""
    return request.use_hub_key or _has_login(request)


def check_jump_login(request: DeploymentRequest) -> None:
    """Raises: JumpCredentialsRequired: the jump host's own log-in is not known any more, and that of the server is not sent there."""
    jump = request.jump
    if jump is not None and jump.own_login is not False and not _has_login(jump):
        had = "had" if jump.own_login else "may have had"
        raise JumpCredentialsRequired(
            f"the jump host {jump.host} {had} a log-in of its own, which is not kept, and gets none of the server:"
            " give it in the same request, or add the server again with both log-ins",
            jump={"host": jump.host, "port": jump.port, "username": jump.username},
        )


def _has_login(login: DeploymentRequest | JumpRequest) -> bool:
    return login.private_key is not None or login.password is not None


def target_of(request: DeploymentRequest, pinned: HostKey | None) -> Target:
    """Convert the request to Major Tom's `Target`."""
    return Target(
        host=request.host,
        port=request.port,
        username=request.username,
        private_key=_secret(request.private_key),
        passphrase=_secret(request.passphrase),
        password=_secret(request.password),
        sudo_password=_secret(request.sudo_password),
        pinned=None if pinned is None else interfaces.HostKey(*pinned),
        expected_fingerprint=request.host_key.strip() if request.host_key else None,
        certificate=request.certificate,
        jump=None if request.jump is None else _jump_target(request, request.jump),
    )


def _jump_target(request: DeploymentRequest, jump: JumpRequest) -> Target:
    login = request if jump.own_login is False and not _has_login(jump) else jump
    return Target(
        host=jump.host,
        port=jump.port,
        username=request.username if jump.username is None else jump.username,
        private_key=_secret(login.private_key),
        passphrase=_secret(login.passphrase),
        password=_secret(login.password),
        sudo_password=None,
        pinned=None if jump.pinned is None else interfaces.HostKey(*jump.pinned)._replace(host=""),
        expected_fingerprint=jump.host_key.strip() if jump.host_key else None,
        certificate=login.certificate,
    )


def _secret(text: str | None) -> Secret | None:
    return Secret(text) if text else None
