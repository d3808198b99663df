"""The declarations of organisations and members."""

from __future__ import annotations

from typing import Final

from groundcontrol.events.views import AuditPageView
from groundcontrol.instance import api
from groundcontrol.instance.service import OrganisationService
from groundcontrol.instance.views import (
    AgentsView,
    BreakGlassBody,
    BreakGlassView,
    DeleteBody,
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
    OwnOrganisationPatch,
)
from groundcontrol.web.declare import Slice
from groundcontrol.web.routes import CURSOR, LIMIT, Parameter, Route
from groundcontrol.web.services import Services, provide

ISSUER: Final = Parameter("issuer", "of an offer to an address: the provider's issuer, as the offer shows it")
ROUTES: Final = (
    Route("GET", "/organisations", "instance.manage", api.list_organisations, OrganisationsView, whose="hub"),
    Route("POST", "/organisations", "instance.manage", api.create_organisation, NewOrganisationView, NewOrganisationBody, status=201, step_up=True, strict=True, whose="hub"),
    Route("GET", "/organisations/{slug}", "instance.manage", api.show_organisation, OrganisationSummaryView, whose="hub"),
    Route("PATCH", "/organisations/{slug}", "instance.manage", api.edit_organisation, OrganisationView, OrganisationPatch, step_up=True, whose="hub"),
    Route("POST", "/organisations/{slug}/suspend", "instance.manage", api.suspend_organisation, OrganisationView, step_up=True, strict=True, whose="hub"),
    Route("POST", "/organisations/{slug}/resume", "instance.manage", api.resume_organisation, OrganisationView, step_up=True, strict=True, whose="hub"),
    Route("POST", "/organisations/{slug}/remove-agents", "instance.manage", api.remove_agents, AgentsView, status=202, step_up=True, strict=True, cost="fleet", whose="hub"),
    Route("DELETE", "/organisations/{slug}", "instance.manage", api.delete_organisation, None, DeleteBody, status=204, step_up=True, strict=True, cost="fleet", whose="hub"),
    Route("POST", "/organisations/{slug}/break-glass", "instance.manage", api.break_glass, BreakGlassView, BreakGlassBody, step_up=True, strict=True, whose="hub"),
    Route("GET", "/instance-admins", "instance.manage", api.list_instance_admins, InstanceAdminsView, query=(LIMIT, CURSOR), cost="page", whose="hub"),
    Route("GET", "/instance-audit", "instance.manage", api.list_instance_audit, AuditPageView, query=(LIMIT, CURSOR), cost="page", whose="hub"),
    Route("POST", "/instance-admins", "instance.manage", api.set_instance_admin, None, InstanceAdminBody, status=204, step_up=True, strict=True, whose="hub"),
    Route("GET", "/organisation", "member.manage", api.get_organisation, OwnedOrganisationView, whose="organisation"),
    Route("PATCH", "/organisation", "member.manage", api.edit_own_organisation, OrganisationView, OwnOrganisationPatch, step_up=True, whose="organisation"),
    Route("GET", "/members", "member.manage", api.list_members, MembersView, query=(LIMIT, CURSOR), cost="page", whose="organisation"),
    Route("POST", "/members", "member.manage", api.offer_membership, None, NewMemberBody, status=204, step_up=True, strict=True, whose="organisation"),
    Route("PATCH", "/members/{username}", "member.manage", api.edit_member, MemberView, MemberPatch, step_up=True, strict=True, whose="organisation"),
    Route("DELETE", "/members/{username}", "member.manage", api.remove_member, None, query=(ISSUER,), status=204, step_up=True, strict=True, whose="organisation"),
    Route("GET", "/auth/offers", "account.use", api.own_offers, OwnOffersView, whose="caller"),
    Route("POST", "/auth/offers", "account.use", api.answer_offer, None, OfferAnswerBody, status=204, whose="caller"),
)  # fmt: skip


def _service(services: Services) -> OrganisationService:
    return OrganisationService(services, stores=services, bus=services.bus, clock=services.clock, users=services.auth.user_admin)


SLICE: Final = Slice("instance", ROUTES, provides=(provide(OrganisationService)(_service),), tasks=(OrganisationService,))
