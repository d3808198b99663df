"""Bodies and answers of organisations and members."""

from __future__ import annotations

from typing import Literal

import msgspec

from groundcontrol.access.model import Offer, Organisation, OrganisationSummary, Person
from groundcontrol.access.views import GrantsBody, GrantsView, grants_view
from groundcontrol.web.answer import Answer, Body, view_of

RoleName = Literal["admin", "operator", "viewer"]


class OrganisationView(Answer):
    slug: str
    """The short name, for the header `Stardust-Organisation`."""
    name: str
    state: Literal["active", "suspended"]
    sso_only: bool
    """Whether its members log in through single sign-on only."""
    require_totp: Literal["none", "admins", "all"]
    """Which of its members must have a second factor."""
    node_quota: int | None
    """The most nodes; null: no limit."""
    version: int


class OrganisationSummaryView(OrganisationView):
    """An organisation as the admins of the hub see it: counts, never content."""

    nodes: int
    members: int
    jobs: int
    events: int
    created_at: float
    first: bool
    """Whether it is the first organisation, which cannot be deleted."""
    member: bool
    """Whether the caller belongs to it."""


class OrganisationsView(Answer):
    organisations: list[OrganisationSummaryView]


class NewOrganisationBody(Body):
    slug: str
    """2 to 40 of a-z, 0-9 and -, beginning with a letter."""
    name: str
    """1 to 60 characters."""
    node_quota: int | None = None
    first_admin: str | None = None
    """The user name of the first admin. An unknown name becomes an account; a known user must accept; the caller joins at once."""


class FirstAdminView(Answer):
    username: str
    how: Literal["joined", "offered", "created"]
    password: str | None
    """The one-time password of a created account, shown once."""


class NewOrganisationView(Answer):
    organisation: OrganisationView
    first_admin: FirstAdminView | None


class OrganisationPatch(Body):
    version: int
    """As read; another one answers 409."""
    slug: str | msgspec.UnsetType = msgspec.UNSET
    name: str | msgspec.UnsetType = msgspec.UNSET
    node_quota: int | msgspec.UnsetType | None = msgspec.UNSET


class OwnOrganisationPatch(Body):
    version: int
    """As read; another one answers 409."""
    name: str | msgspec.UnsetType = msgspec.UNSET
    require_totp: Literal["none", "admins", "all"] | msgspec.UnsetType = msgspec.UNSET


class DeleteBody(Body):
    typed: str
    """The short name of the organisation, as typed by a person."""
    abandon: bool = False
    """True: delete it although it has nodes. Their agents stay on their servers, and can no longer report."""


class AgentsView(Answer):
    removing: list[str]
    """The ids of the nodes whose agents are being uninstalled."""
    unreached: list[str]
    """The names of the nodes that are not connected, or refuse."""


class BreakGlassBody(Body):
    reason: str
    """Told to the organisation; 1 to 200 characters."""
    hours: float = 1.0
    """At most 4, and at least a minute. The caller is a viewer meanwhile: any other role could make something that stays."""


class BreakGlassView(Answer):
    until: float


class OwnedOrganisationView(OrganisationView):
    """The organisation of the request."""

    nodes: int


class MemberView(Answer):
    username: str
    role: RoleName
    grants: GrantsView | None
    """Null: every node."""
    disabled: bool
    totp_enabled: bool
    source: str
    """`local`, or `oidc:<provider>` if a log-in there made the membership."""
    until: float | None
    """When a break-glass membership ends; null: the membership has no end."""
    reason: str
    """Of a break-glass membership."""
    whole: bool
    """Whether the caller may manage the account itself: reset its password, disable it. Otherwise only the membership."""
    last_seen_at: float | None


class OfferView(Answer):
    """A membership that waits for its user. Perhaps nobody has the name."""

    username: str
    role: RoleName
    grants: GrantsView | None
    made_by: str
    made_at: float
    issuer: str
    """The provider at which `username` is an address of e-mail; empty: it is a user name."""


class MembersView(Answer):
    members: list[MemberView]
    offers: list[OfferView]
    next: str | None


class NewMemberBody(Body):
    username: str
    provider: str | None = None
    """A provider of single sign-on. `username` is an address of e-mail there then, which the provider must confirm at the log-in."""
    role: RoleName = "viewer"
    grants: GrantsBody | None = None
    """Without it the member sees every node, as an admin always does."""


class MemberPatch(Body):
    role: RoleName | None = None
    grants: GrantsBody | None = None
    all_nodes: bool = False
    """True: the member sees every node. It cannot be combined with `grants`."""


class OwnOfferView(Answer):
    slug: str
    name: str
    """Of the organisation."""
    role: RoleName
    made_by: str
    made_at: float


class OwnOffersView(Answer):
    offers: list[OwnOfferView]


class OfferAnswerBody(Body):
    organisation: str
    """The short name of the organisation."""
    accept: bool


class InstanceAdminBody(Body):
    username: str
    admin: bool


class InstanceAdminView(Answer):
    username: str
    disabled: bool
    totp_enabled: bool
    last_seen_at: float | None


class InstanceAdminsView(Answer):
    admins: list[InstanceAdminView]
    next: str | None


def organisation_view(organisation: Organisation) -> OrganisationView:
    return view_of(OrganisationView, organisation)


def summary_view(summary: OrganisationSummary, *, first: bool, member: bool) -> OrganisationSummaryView:
    fields = {name: getattr(summary.organisation, name) for name in OrganisationView.__struct_fields__}
    return view_of(OrganisationSummaryView, summary, **fields, created_at=summary.organisation.created_at, first=first, member=member)


def member_view(person: Person) -> MemberView:
    user = person.user
    return view_of(
        MemberView,
        person,
        username=user.username,
        role=user.role,
        grants=grants_view(user.grants),
        disabled=user.disabled,
        totp_enabled=user.totp_since is not None,
    )


def instance_admin_view(person: Person) -> InstanceAdminView:
    user = person.user
    return InstanceAdminView(user.username, user.disabled, user.totp_since is not None, person.last_seen_at)


def offer_view(offer: Offer) -> OfferView:
    return view_of(OfferView, offer, grants=grants_view(offer.grants))
