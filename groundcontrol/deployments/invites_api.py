"""`/api/v1/invites` and `/install.sh`: servers join without a login by the hub."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import hdrs, web

from groundcontrol.config import Config
from groundcontrol.core.bus import Changed
from groundcontrol.core.errors import BadRequest
from groundcontrol.core.ids import InviteId
from groundcontrol.core.permissions import authorize, check_new_tags
from groundcontrol.deployments.install_script import Invitations
from groundcontrol.deployments.invites_views import InstallerView, InviteBody, InvitesView, InviteView, NewInviteView
from groundcontrol.deployments.model import INVITE_S, LONGEST_DAYS, MOST_USES, Invite, PolicyLines
from groundcontrol.deployments.policy_file import check_lines
from groundcontrol.deployments.requests import check_proxy
from groundcontrol.deployments.store import InviteStore
from groundcontrol.nodes.api import node_detail_view
from groundcontrol.nodes.checks import checked_name, checked_new_tags
from groundcontrol.nodes.store import NodeStore
from groundcontrol.nodes.views import NodeView
from groundcontrol.web.answer import view_of
from groundcontrol.web.request import ApiRequest
from groundcontrol.web.services import Services
from spider.wire.ids import new_random_id

USES: Final = 100
DAYS: Final = 7
HELP: Final = "If this server does not trust its certificate: add its authority here, or start the hub with --tls-pin."


async def create_invite(call: ApiRequest, body: InviteBody) -> NewInviteView:
    """Make an invite. Its secret is in this answer alone."""
    many = body.kind == "organisation"
    if many:
        authorize(call.scope, "invite.organisation")
    elif (body.uses, body.days, body.approval) != (None, None, None):
        raise BadRequest("uses, days and approval belong to an organisation secret", field="kind")
    uses = (USES if body.uses is None else body.uses) if many else 1
    days = DAYS if body.days is None else body.days
    if not 1 <= uses <= MOST_USES:
        raise BadRequest(f"uses must be 1 to {MOST_USES}", field="uses")
    if not 1 <= days <= LONGEST_DAYS:
        raise BadRequest(f"days must be 1 to {LONGEST_DAYS}", field="days")
    if many and not body.name.strip():
        raise BadRequest("name must give the purpose of the organisation secret", field="name")
    name = checked_name(body.name) if body.name.strip() else ""
    tags = checked_new_tags(body.tags)
    check_new_tags(call.scope, tags)
    proxy = check_proxy(body.proxy) or ""
    units, containers, events = (None if names is None else tuple(names) for names in (body.units, body.containers, body.events))
    lines = PolicyLines(None, units, containers, body.journal, events)
    check_lines(lines)
    services, scope = call.services, call.scope
    now = services.clock.now()
    expires_at = float(int(now + (days * 86_400.0 if many else INVITE_S)))
    invite = await services[InviteStore].create_invite(
        scope,
        Invite(
            InviteId(new_random_id()), scope.org, body.kind, name, tags, body.policy, many and body.approval is not False,
            uses, 0, None, scope.actor.name, now, expires_at, None, lines,
        ),
    )  # fmt: skip
    text = services[Invitations].text(invite, proxy)
    return NewInviteView(
        invite=text,
        short=short(services, proxy),
        without_curl=without_curl(services, proxy),
        command=command(services, text, proxy),
        line=line(services, proxy),
        expires_at=expires_at,
        installer=installer(services),
        this_machine_only=services[Config].server_url is None,
        info=invite_view(invite, now),
    )


async def list_invites(call: ApiRequest) -> InvitesView:
    """A page of invites, the newest first, with those that ended in the last month."""
    limit, cursor = call.page()
    page = await call.services[InviteStore].invites(call.scope, limit, cursor)
    now = call.services.clock.now()
    return InvitesView(invites=[invite_view(one, now) for one in page.items], next=page.next, installer=installer(call.services))


async def get_invite(call: ApiRequest) -> InviteView:
    """One invite, to see whether it is used."""
    call.query()
    return invite_view(await call.services[InviteStore].invite(call.scope, call.invite_id), call.services.clock.now())


async def revoke_invite(call: ApiRequest) -> None:
    """Revoke an invite. Nodes that joined with it stay."""
    await call.services[InviteStore].revoke_invite(call.scope, call.invite_id)


async def approve_node(call: ApiRequest) -> NodeView:
    """Approve a node that joined with an organisation secret."""
    services = call.services
    before = await services[NodeStore].node(call.scope, call.node_id)
    call.authorize("node.approve", before)
    node = await services[InviteStore].approve_node(call.scope, call.node_id)
    services.bus.publish(Changed("node", node.id, node.version, node.org))
    return await node_detail_view(services, call.scope, node.id)


async def reject_node(call: ApiRequest) -> None:
    """Delete a node that waits for approval. The Spider on its server stays there, and can never connect."""
    services = call.services
    node = await services[NodeStore].node(call.scope, call.node_id)
    call.authorize("node.approve", node)
    await services[InviteStore].reject_node(call.scope, node.id)
    services.bus.publish(Changed("node", node.id, 0, node.org))


def invite_view(invite: Invite, now: float) -> InviteView:
    """The view of an invite. It has no secret, since the hub does not store it."""
    units, containers, events = (list(names or ()) for names in (invite.lines.units, invite.lines.containers, invite.lines.events))
    return view_of(
        InviteView, invite, state=invite.state(now), units=units, containers=containers, journal=invite.lines.journal, events=events
    )


def installer(services: Services) -> InstallerView:
    """The URL of `install.sh`, and its checksum."""
    return InstallerView(url=f"{services[Config].origin}/install.sh", sha256=services[Invitations].script_sha256)


def short(services: Services, proxy: str) -> str:
    """The command that pipes the script into a shell. TLS alone protects the script: curl trusts an authority, or the hub's pinned key.

    The invite is in no argument, environment or history: the script asks for it on the terminal.
    """
    by = f" -x {proxy}" if proxy else ""
    return f"curl -fsS{_pinned(services)}{by} {installer(services).url} | sudo sh"


def without_curl(services: Services, proxy: str) -> list[str]:
    """`short` for a server without curl: with wget, and with Python. Empty: a key is pinned, which neither can check, so use `line`."""
    if services[Config].tls_pin:
        return []
    by, url = _proxied(proxy), installer(services).url
    read = f'import urllib.request as r; print(r.urlopen("{url}").read().decode())'
    return [f"{by}wget -nv -O- {url} | sudo sh", f"{by}python3 -c '{read}' | sudo sh"]


def _proxied(proxy: str) -> str:
    return f"http_proxy={proxy} https_proxy={proxy} " if proxy else ""


def _pinned(services: Services) -> str:
    """The options that make curl trust the pinned keys alone; empty: nothing is pinned."""
    pins = [bytes.fromhex(pin) for pin in (services[Config].tls_pin or "").split(", ") if pin]
    return f' -k --pinnedpubkey "{";".join("sha256//" + base64.b64encode(pin).decode() for pin in pins)}"' if pins else ""


def command(services: Services, invite: str, proxy: str) -> str:
    """The command to paste into a shell of the server. It fetches the script, compares its checksum and passes the invite by standard input.

    The invite is in no argument and no environment variable. The command keeps itself out of the history of bash.
    The leading blank does the same in a zsh with HIST_IGNORE_SPACE, since a zsh stores a paste as one entry. For other shells use `line`.
    """
    return f' [ -z "$BASH" ] || set +o history\n({_fetched(services, proxy)}) <<\'EOF\'; r=$?; [ -z "$BASH" ] || set -o history; (exit $r)\n{invite}\nEOF\n'


def line(services: Services, proxy: str) -> str:
    """The command for a shell that writes each paste to its history before it runs. It prompts for the invite, with hidden input.

    The command is in single quotes and contains none, so every shell reads it in the same way. Without a terminal, it reads the invite from
    standard input.
    """
    return f"sh -c '{_fetched(services, proxy)}'"


def _fetched(services: Services, proxy: str) -> str:
    """The part that fetches, compares and runs the script. The checksum protects the script, even under a self-signed certificate.

    If curl, wget and Python fail, a line explains the usual cause on a first server: an untrusted certificate.
    """
    script = installer(services)
    known = _pinned(services)
    unsigned = "import ssl; ssl._create_default_https_context = ssl._create_unverified_context; " if known else ""
    fetch = f'import urllib.request; {unsigned}urllib.request.urlretrieve(\\"{script.url}\\", \\"install.sh\\")'
    by, unchecked = _proxied(proxy), " --no-check-certificate" if known else ""
    return (
        f'd=$(mktemp -d) && cd "$d" && {{ {by}curl -fsS{known} -o install.sh {script.url} 2>/dev/null ||'
        f' {by}wget -nv -t 1{unchecked} -O install.sh {script.url} 2>/dev/null || {by}python3 -c "{fetch}" ||'
        f' {{ echo "install.sh was not fetched from {script.url}. {HELP}" >&2; false; }}; }}'
        f' && echo "{script.sha256}  install.sh" | $(command -v sha256sum || echo shasum -a 256) -c - && $([ "$(id -u)" = 0 ] || command -v sudo || command -v doas) sh install.sh;'
        ' r=$?; cd /; rm -rf "$d"; exit $r'
    )


def script(services: Services) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of `GET /install.sh`. It needs no login, since the script contains no secret."""

    async def handle(_request: web.Request) -> web.Response:
        return web.Response(
            body=services[Invitations].script,
            content_type="text/x-shellscript",
            charset="utf-8",
            headers={hdrs.CACHE_CONTROL: "no-cache", hdrs.ETAG: f'"{services[Invitations].script_sha256[:32]}"'},
        )

    return handle
