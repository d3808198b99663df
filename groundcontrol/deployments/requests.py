"""What a person asks for, checked; and how fields that are given anew replace earlier ones."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from groundcontrol.domain.deployments import Deployment, DeploymentOverrides, DeploymentRequest, HostKey, Wishes
from groundcontrol.errors import BadRequest
from groundcontrol.fleet.intake import clean
from majortom import base
from majortom.base import DeployError, Secret, Target
from majortom.keys import read_header

MAX_NAME_CHARS: Final = 100
MAX_TAGS: Final = 32
MAX_TAG_CHARS: Final = 64
MAX_SECRET_CHARS: Final = 1024
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9.])?|[0-9A-Fa-f:.]{2,45}(%[A-Za-z0-9._-]{1,32})?")
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,63}\$?")
_FINGERPRINT: Final = re.compile(r"(SHA256:)?[A-Za-z0-9+/]{43}=?")
_AT_ONCE: Final = ("key_too_large", "key_kdf_rounds")
"""Keys that are refused with the request; what is wrong with others is told by the deployment, whose retry mends it."""


def check_request(request: DeploymentRequest) -> DeploymentRequest:
    """Refuse what cannot be meant; returns the request with host, name and tags trimmed.

    Raises: BadRequest: names the field.
    """
    request = replace(request, host=request.host.strip(), username=request.username.strip())
    if not _HOST.fullmatch(request.host):
        raise BadRequest("host must be a host name or an IP address", field="host")
    if not 0 < request.port < 65536:
        raise BadRequest("port must be 1 to 65535", field="port")
    if not _USER.fullmatch(request.username):
        raise BadRequest("username must be the name of an account on the server", field="username")
    if request.host_key is not None and not _FINGERPRINT.fullmatch(request.host_key.strip()):
        raise BadRequest("host_key must be a fingerprint such as ssh-keygen -lf prints: SHA256:…", field="host_key")
    for field in ("passphrase", "password", "sudo_password"):
        value = getattr(request, field)
        if value is not None and (len(value) > MAX_SECRET_CHARS or "\n" in value or "\0" in value):
            raise BadRequest(f"{field} must be one line of at most {MAX_SECRET_CHARS} characters", field=field)
    _check_key(request.private_key)
    name = request.host if request.name is None else request.name.strip()
    if not name or len(name) > MAX_NAME_CHARS or clean(name, MAX_NAME_CHARS) != name:
        raise BadRequest(f"name must have 1 to {MAX_NAME_CHARS} printable characters", field="name")
    return replace(request, name=name, tags=_check_tags(request.tags))


def _check_key(text: str | None) -> None:
    if text is None:
        return
    try:
        read_header(text)
    except DeployError as exc:
        if exc.code in _AT_ONCE:
            raise BadRequest(exc.message, field="private_key", reason=exc.code) from None


def _check_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    trimmed = tuple(dict.fromkeys(tag.strip() for tag in tags))
    if len(trimmed) > MAX_TAGS:
        raise BadRequest(f"at most {MAX_TAGS} tags", field="tags")
    for tag in trimmed:
        if not tag or len(tag) > MAX_TAG_CHARS or clean(tag, MAX_TAG_CHARS) != tag:
            raise BadRequest(f"a tag must have 1 to {MAX_TAG_CHARS} printable characters", field="tags")
    return trimmed


def merge(request: DeploymentRequest, given: DeploymentOverrides | None) -> DeploymentRequest:
    """Put the fields that were given in the place of the earlier ones.

    A new key comes without the old key's passphrase, and another server without the old one's fingerprint.
    """
    if given is None:
        return request
    if request.name == request.host and given.host is not None:
        request = replace(request, name=None)
    changes = {name: value for name, value in vars(given).items() if value is not None}
    if given.private_key is not None:
        changes.setdefault("passphrase", None)
    if _moved(request, given):
        changes.setdefault("host_key", None)
    return replace(request, **changes)


def _moved(request: DeploymentRequest, given: DeploymentOverrides) -> bool:
    return given.host not in (None, request.host) or given.port not in (None, request.port)


def same_server(request: DeploymentRequest, given: DeploymentOverrides | None) -> bool:
    """Whether the merged request goes to the server that it went to before, so that a pinned host key still counts."""
    return given is None or (not _moved(request, given) and given.host_key is None)


def wishes_of(request: DeploymentRequest) -> Wishes:
    """What of a request is kept with its row."""
    return Wishes(**{field: getattr(request, field) for field in Wishes._fields})


def asked_before(row: Deployment) -> DeploymentRequest:
    """The request as its row tells of it: everything but the secrets."""
    return DeploymentRequest(host=row.host, port=row.port, username=row.username, name=row.name, **row.wishes._asdict())


def has_credentials(request: DeploymentRequest) -> bool:
    """Whether there is anything to log in with."""
    return request.private_key is not None or request.password is not None


def target_of(request: DeploymentRequest, pinned: HostKey | None) -> Target:
    """Write the request as Major Tom knows it."""
    return Target(
        host=request.host,
        port=request.port,
        username=request.username,
        private_key=_secret(request.private_key),
        passphrase=_secret(request.passphrase),
        password=_secret(request.password),
        sudo_password=_secret(request.sudo_password),
        pinned=None if pinned is None else base.HostKey(*pinned),
        expected_fingerprint=request.host_key.strip() if request.host_key else None,
    )


def _secret(text: str | None) -> Secret | None:
    return Secret(text) if text else None
