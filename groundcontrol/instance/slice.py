"""The declarations of organisations and members."""

from __future__ import annotations

from typing import Final

from groundcontrol.instance import api
from groundcontrol.instance.service import OrganisationService
from groundcontrol.web.declare import Slice
from groundcontrol.web.routes import CURSOR, LIMIT, Parameter, Route
from groundcontrol.web.services import Services, provide

ISSUER: Final = Parameter("issuer", "of an offer to an address: the provider's issuer, as the offer shows it")
ROUTES: Final = (
    Route("GET", "/organisations", "instance.manage", api.list_organisations, whose="hub"),
    Route("POST", "/organisations", "instance.manage", api.create_organisation, status=201, step_up=True, strict=True, whose="hub"),
    Route("GET", "/organisations/{slug}", "instance.manage", api.show_organisation, whose="hub"),
    Route("PATCH", "/organisations/{slug}", "instance.manage", api.edit_organisation, step_up=True, whose="hub"),
    Route("POST", "/organisations/{slug}/suspend", "instance.manage", api.suspend_organisation, step_up=True, strict=True, whose="hub"),
    Route("POST", "/organisations/{slug}/resume", "instance.manage", api.resume_organisation, step_up=True, strict=True, whose="hub"),
    Route("POST", "/organisations/{slug}/remove-agents", "instance.manage", api.remove_agents, status=202, step_up=True, strict=True, cost="fleet", whose="hub"),
    Route("DELETE", "/organisations/{slug}", "instance.manage", api.delete_organisation, status=204, step_up=True, strict=True, cost="fleet", whose="hub"),
    Route("POST", "/organisations/{slug}/break-glass", "instance.manage", api.break_glass, step_up=True, strict=True, whose="hub"),
    Route("GET", "/instance-admins", "instance.manage", api.list_instance_admins, query=(LIMIT, CURSOR), cost="page", whose="hub"),
    Route("GET", "/instance-audit", "instance.manage", api.list_instance_audit, query=(LIMIT, CURSOR), cost="page", whose="hub"),
    Route("POST", "/instance-admins", "instance.manage", api.set_instance_admin, status=204, step_up=True, strict=True, whose="hub"),
    Route("GET", "/organisation", "member.manage", api.get_organisation, whose="organisation"),
    Route("PATCH", "/organisation", "member.manage", api.edit_own_organisation, step_up=True, whose="organisation"),
    Route("GET", "/members", "member.manage", api.list_members, query=(LIMIT, CURSOR), cost="page", whose="organisation"),
    Route("POST", "/members", "member.manage", api.offer_membership, status=204, step_up=True, strict=True, whose="organisation"),
    Route("PATCH", "/members/{username}", "member.manage", api.edit_member, step_up=True, strict=True, whose="organisation"),
    Route("DELETE", "/members/{username}", "member.manage", api.remove_member, query=(ISSUER,), status=204, step_up=True, strict=True, whose="organisation"),
    Route("GET", "/auth/offers", "account.use", api.own_offers, whose="caller"),
    Route("POST", "/auth/offers", "account.use", api.answer_offer, status=204, whose="caller"),
)  # fmt: skip


def _service(services: Services) -> OrganisationService:
    return OrganisationService(services, stores=services, bus=services.bus, clock=services.clock, users=services.auth.user_admin)


SLICE: Final = Slice("instance", ROUTES, provides=(provide(OrganisationService)(_service),), tasks=(OrganisationService,))
