/** Organisations of the hub, members of one, and offers of memberships. */

import { t } from "../core/text/i18n";
import { call } from "../wire/http";
import type {
  AgentsView,
  AuditPageView,
  BreakGlassView,
  InstanceAdminsView,
  MembersView,
  MemberPatch,
  MemberView,
  NewMemberBody,
  NewOrganisationBody,
  NewOrganisationView,
  OrganisationPatch,
  OrganisationSummaryView,
  OrganisationsView,
  OrganisationView,
  OwnOffersView,
  OwnOfferView,
} from "../wire/schema.gen";
import { withStepUp, withStrictStepUp } from "./step-up";

const of = (slug: string): string => `organisations/${slug}`;
const member = (name: string): string => `members/${encodeURIComponent(name)}`;

export const loadOrganisations = async (): Promise<OrganisationSummaryView[]> =>
  (await call<OrganisationsView>("GET", "organisations")).organisations;
export const addOrganisation = (body: NewOrganisationBody): Promise<NewOrganisationView> =>
  withStrictStepUp(() => call<NewOrganisationView>("POST", "organisations", { body }), t`Enter your password to create an organisation.`);
export const patchOrganisation = (slug: string, body: OrganisationPatch): Promise<OrganisationView> =>
  withStepUp(() => call<OrganisationView>("PATCH", of(slug), { body }), t`Enter your password to change the organisation ${slug}.`);
export const setSuspended = (slug: string, on: boolean): Promise<OrganisationView> =>
  withStrictStepUp(
    () => call<OrganisationView>("POST", `${of(slug)}/${on ? "suspend" : "resume"}`),
    on ? t`Enter your password to suspend the organisation ${slug}.` : t`Enter your password to resume the organisation ${slug}.`,
  );
export const removeAgents = (slug: string): Promise<AgentsView> =>
  withStrictStepUp(() => call<AgentsView>("POST", `${of(slug)}/remove-agents`), t`Enter your password to remove the agents of ${slug}.`);
export const deleteOrganisation = (slug: string, abandon: boolean): Promise<void> =>
  withStrictStepUp(
    () => call<undefined>("DELETE", of(slug), { body: { typed: slug, abandon } }),
    t`Enter your password to delete the organisation ${slug}.`,
  );
export const breakGlass = (slug: string, reason: string, hours: number): Promise<BreakGlassView> =>
  withStrictStepUp(
    () => call<BreakGlassView>("POST", `${of(slug)}/break-glass`, { body: { reason, hours } }),
    t`Enter your password to look into the organisation ${slug}.`,
  );

export const loadHubAdmins = (cursor?: string): Promise<InstanceAdminsView> =>
  call<InstanceAdminsView>("GET", "instance-admins", { query: { limit: 100, cursor } });
export const loadHubAudit = (cursor?: string): Promise<AuditPageView> =>
  call<AuditPageView>("GET", "instance-audit", { query: { limit: 20, cursor } });
export const setHubAdmin = (username: string, admin: boolean): Promise<void> =>
  withStrictStepUp(
    () => call<undefined>("POST", "instance-admins", { body: { username, admin } }),
    t`Enter your password to change the admins of the hub.`,
  );

export const loadMembers = (cursor?: string): Promise<MembersView> =>
  call<MembersView>("GET", "members", { query: { limit: 100, cursor } });
export const offerMembership = (body: NewMemberBody): Promise<void> =>
  withStrictStepUp(() => call<undefined>("POST", "members", { body }), t`Enter your password to offer a membership.`);
export const patchMember = (name: string, body: MemberPatch): Promise<MemberView> =>
  withStrictStepUp(() => call<MemberView>("PATCH", member(name), { body }), t`Enter your password to change the member ${name}.`);
/** Args: issuer: of an offer to an address at a provider. */
export const removeMember = (name: string, issuer = ""): Promise<void> =>
  withStrictStepUp(
    () => call<undefined>("DELETE", member(name), issuer ? { query: { issuer } } : {}),
    t`Enter your password to remove ${name} from the organisation.`,
  );

export const loadOffers = async (): Promise<OwnOfferView[]> => (await call<OwnOffersView>("GET", "auth/offers")).offers;
export const answerOffer = (slug: string, accept: boolean): Promise<void> =>
  call<undefined>("POST", "auth/offers", { body: { organisation: slug, accept } });
