"""`/api/v1/organisations`, `organisation`, `members` and `auth/offers`."""

from __future__ import annotations

import msgspec

from groundcontrol.access.model import Organisation
from groundcontrol.access.service import person_of
from groundcontrol.access.store import MembershipStore, OrganisationStore, UserAdminStore
from groundcontrol.access.users import USERNAME
from groundcontrol.access.views import grants_of
from groundcontrol.core.errors import BadRequest, NotFound
from groundcontrol.core.scope import NO_ORG
from groundcontrol.core.text import checked_name, fold
from groundcontrol.events.store import LogStore
from groundcontrol.events.views import AuditPageView, audit_view
from groundcontrol.instance.service import MAX_NAME_CHARS, SLUG, OrganisationService, checked_quota, checked_slug
from groundcontrol.instance.views import (
    AgentsView,
    BreakGlassBody,
    BreakGlassView,
    DeleteBody,
    FirstAdminView,
    InstanceAdminBody,
    InstanceAdminsView,
    MemberPatch,
    MembersView,
    MemberView,
    NewMemberBody,
    NewOrganisationBody,
    NewOrganisationView,
    OfferAnswerBody,
    OrganisationPatch,
    OrganisationSummaryView,
    OrganisationsView,
    OrganisationView,
    OwnedOrganisationView,
    OwnOffersView,
    OwnOfferView,
    OwnOrganisationPatch,
    instance_admin_view,
    member_view,
    offer_view,
    organisation_view,
    summary_view,
)
from groundcontrol.web.answer import view_of
from groundcontrol.web.request import ApiRequest


async def _named(call: ApiRequest) -> Organisation:
    """The organisation in the path. Raises: NotFound."""
    slug = call.request.match_info["slug"]
    if not SLUG.match(slug):
        raise NotFound("there is no organisation of this name")
    return await call.services[OrganisationStore].organisation(slug)


async def _own(call: ApiRequest) -> Organisation:
    return next(one for one in await call.services[OrganisationStore].organisations() if one.no == call.scope.org)


# -- the instance ----------------------------------------------------------------------------


async def list_organisations(call: ApiRequest) -> OrganisationsView:
    """All organisations with their counts, oldest first."""
    call.query()
    own = {one.org for one in call.caller.memberships}
    found = await call.services[OrganisationStore].summaries()
    return OrganisationsView(
        organisations=[summary_view(one, first=one.organisation.is_first, member=one.organisation.no in own) for one in found]
    )


async def show_organisation(call: ApiRequest) -> OrganisationSummaryView:
    """One organisation with its counts."""
    call.query()
    wanted = await _named(call)
    found = next(one for one in await call.services[OrganisationStore].summaries() if one.organisation.no == wanted.no)
    return summary_view(found, first=wanted.is_first, member=wanted.no in {one.org for one in call.caller.memberships})


async def create_organisation(call: ApiRequest, body: NewOrganisationBody) -> NewOrganisationView:
    """Create an organisation, and let its first admin in."""
    if body.first_admin is not None and not USERNAME.match(body.first_admin):
        raise BadRequest("first_admin is no user name", field="first_admin")
    made, first = await call.services[OrganisationService].create(call.scope, body.slug, body.name, body.node_quota, body.first_admin)
    return NewOrganisationView(organisation=organisation_view(made), first_admin=None if first is None else view_of(FirstAdminView, first))


async def edit_organisation(call: ApiRequest, body: OrganisationPatch) -> OrganisationView:
    """Rename an organisation, or change its quota of nodes."""
    before = await _named(call)
    after = before._replace(
        version=body.version,
        slug=before.slug if body.slug is msgspec.UNSET else checked_slug(body.slug),
        name=before.name if body.name is msgspec.UNSET else checked_name(body.name, MAX_NAME_CHARS, before=before.name),
        node_quota=before.node_quota if body.node_quota is msgspec.UNSET else checked_quota(body.node_quota),
    )
    return organisation_view(await call.services[OrganisationService].save(call.scope, after))


async def suspend_organisation(call: ApiRequest) -> OrganisationView:
    """Suspend: its users get 403, roll-outs and policies pause, nobody is told of anything. Running jobs end, and samples are recorded."""
    return organisation_view(await call.services[OrganisationService].set_state(call.scope, await _named(call), "suspended"))


async def resume_organisation(call: ApiRequest) -> OrganisationView:
    """Resume. It starts nothing by itself: paused roll-outs and policies stay paused."""
    return organisation_view(await call.services[OrganisationService].set_state(call.scope, await _named(call), "active"))


async def remove_agents(call: ApiRequest) -> AgentsView:
    """Uninstall the agents of all connected nodes, before a deletion."""
    removing, unreached = await call.services[OrganisationService].remove_agents(await _named(call))
    return AgentsView(removing=[str(one) for one in removing], unreached=unreached)


async def delete_organisation(call: ApiRequest, body: DeleteBody) -> None:
    """Delete an organisation with everything that it has, and the accounts that belong to it alone. Backups keep it until they age out."""
    organisation = await _named(call)
    if body.typed != organisation.slug:
        raise BadRequest(f"typed must be the short name of the organisation, {organisation.slug}", field="typed")
    await call.services[OrganisationService].delete(call.scope, organisation, abandon=body.abandon)


async def break_glass(call: ApiRequest, body: BreakGlassBody) -> BreakGlassView:
    """Become a member for at most four hours, for a reason. The organisation's own events tell it."""
    service = call.services[OrganisationService]
    return BreakGlassView(until=await service.break_glass(call.scope, await _named(call), body.hours, body.reason))


async def list_instance_admins(call: ApiRequest) -> InstanceAdminsView:
    """A page of the admins of the hub, oldest account first."""
    limit, cursor = call.page()
    page = await call.services[UserAdminStore].instance_admins(limit, cursor)
    return InstanceAdminsView(admins=[instance_admin_view(one) for one in page.items], next=page.next)


async def list_instance_audit(call: ApiRequest) -> AuditPageView:
    """A page of the audit log of the hub itself, newest first: organisations, its admins, providers, break-glass."""
    limit, cursor = call.page()
    page = await call.services[LogStore].audit(call.scope._replace(org=NO_ORG), limit, cursor)
    return AuditPageView(audit=[audit_view(row) for row in page.items], orders=[], subjects={}, next=page.next)


async def set_instance_admin(call: ApiRequest, body: InstanceAdminBody) -> None:
    """Make a user an admin of the hub, or no longer."""
    if not USERNAME.match(body.username):
        raise BadRequest("this is no user name", field="username")
    user = await call.services[MembershipStore].set_instance_admin(call.scope, body.username, admin=body.admin)
    call.services[OrganisationService].tell([user])


# -- the caller's organisation -----------------------------------------------------------------


async def get_organisation(call: ApiRequest) -> OwnedOrganisationView:
    """The organisation of the request, with its settings."""
    call.query()
    found = await call.services[OrganisationStore].summaries()
    own = next(one for one in found if one.organisation.no == call.scope.org)
    fields = {name: getattr(own.organisation, name) for name in OrganisationView.__struct_fields__}
    return OwnedOrganisationView(**fields, nodes=own.nodes)


async def edit_own_organisation(call: ApiRequest, body: OwnOrganisationPatch) -> OrganisationView:
    """Change the settings of the caller's organisation."""
    before = await _own(call)
    after = before._replace(
        version=body.version,
        name=before.name if body.name is msgspec.UNSET else checked_name(body.name, MAX_NAME_CHARS, before=before.name),
        require_totp=before.require_totp if body.require_totp is msgspec.UNSET else body.require_totp,
    )
    if body.require_totp is not msgspec.UNSET:
        call.services.auth.user_admin.check_rule(body.require_totp)
    return organisation_view(await call.services[OrganisationService].save(call.scope, after))


async def list_members(call: ApiRequest) -> MembersView:
    """A page of members, oldest account first, with all open offers."""
    limit, cursor = call.page()
    page = await call.services[UserAdminStore].users(call.scope, limit, cursor)
    offers = await call.services[MembershipStore].offers(call.scope)
    return MembersView(members=[member_view(one) for one in page.items], offers=[offer_view(one) for one in offers], next=page.next)


async def offer_membership(call: ApiRequest, body: NewMemberBody) -> None:
    """Offer a membership to the user of this name, or with this address at a provider, who must accept. It answers the same if nobody has it.

    Who is unknown here and logs in with that address gets an account, and finds the offer.
    """
    if not USERNAME.match(body.username):
        raise BadRequest("this is no user name", field="username")
    grants = grants_of(body.grants)
    if body.role == "admin" and grants is not None:
        raise BadRequest("an admin sees every node: leave out `grants`", field="grants")
    issuer = ""
    if body.provider is not None:
        issuer = await call.services.auth.issuer_of(body.provider)
        if "@" not in body.username:
            raise BadRequest("with a provider, username is an address of e-mail", field="username")
    await call.services[MembershipStore].offer(call.scope, body.username, body.role, grants, issuer)


async def edit_member(call: ApiRequest, body: MemberPatch) -> MemberView:
    """Change a member's role or nodes. The change takes effect with the member's next request."""
    admin = call.services.auth.user_admin
    return member_view(
        await admin.edit(call.scope, call.username, role=body.role, disabled=None, grants=grants_of(body.grants), all_nodes=body.all_nodes)
    )


async def remove_member(call: ApiRequest) -> None:
    """Remove a member, or withdraw an offer. The account stays, without this organisation."""
    memberships, name, issuer = call.services[MembershipStore], call.username, call.query("issuer").get("issuer", "")
    if not any((fold(one.username), one.issuer) == (fold(name), issuer) for one in await memberships.offers(call.scope)):
        if issuer:
            raise NotFound("there is no such offer")
        await call.services[UserAdminStore].person(call.scope, name)
    user = await memberships.remove_member(call.scope, name, issuer)
    call.services[OrganisationService].tell([] if user is None else [user])


# -- the caller's account ----------------------------------------------------------------------


async def own_offers(call: ApiRequest) -> OwnOffersView:
    """The memberships that wait for the caller."""
    call.query()
    user, _ = person_of(call.caller)
    return OwnOffersView(offers=[view_of(OwnOfferView, one) for one in await call.services[MembershipStore].offers_to(user.id)])


async def answer_offer(call: ApiRequest, body: OfferAnswerBody) -> None:
    """Accept or decline an offered membership."""
    user, _ = person_of(call.caller)
    if not SLUG.match(body.organisation):
        raise NotFound("there is no such offer")
    await call.services[MembershipStore].answer_offer(call.scope, user.id, body.organisation, accept=body.accept)
    call.services[OrganisationService].tell([user.id])
