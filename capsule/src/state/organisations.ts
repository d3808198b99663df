/** Organisations of the hub, members of one, and offers of memberships. */

import { t } from "../core/text";
import { call } from "../wire/http";
import type { MemberPatch, NewMemberBody, NewOrganisationBody, OrganisationPatch } from "../wire/schema.gen";
import { withStepUp, withStrictStepUp } from "./step-up";

const of = (slug: string) => `organisations/${slug}` as const;
const member = (name: string) => `members/${encodeURIComponent(name)}` as const;

export const loadOrganisations = async () => (await call("GET", "organisations")).organisations;
export const addOrganisation = (body: NewOrganisationBody) =>
  withStrictStepUp(() => call("POST", "organisations", { body }), t`Enter your password to create an organisation.`);
export const patchOrganisation = (slug: string, body: OrganisationPatch) =>
  withStepUp(() => call("PATCH", of(slug), { body }), t`Enter your password to change the organisation ${slug}.`);
export const setSuspended = (slug: string, on: boolean) =>
  withStrictStepUp(
    () => call("POST", `${of(slug)}/${on ? "suspend" : "resume"}`),
    on ? t`Enter your password to suspend the organisation ${slug}.` : t`Enter your password to resume the organisation ${slug}.`,
  );
export const removeAgents = (slug: string) =>
  withStrictStepUp(() => call("POST", `${of(slug)}/remove-agents`), t`Enter your password to remove the agents of ${slug}.`);
export const deleteOrganisation = (slug: string, abandon: boolean) =>
  withStrictStepUp(
    () => call("DELETE", of(slug), { body: { typed: slug, abandon } }),
    t`Enter your password to delete the organisation ${slug}.`,
  );
export const breakGlass = (slug: string, reason: string, hours: number) =>
  withStrictStepUp(
    () => call("POST", `${of(slug)}/break-glass`, { body: { reason, hours } }),
    t`Enter your password to look into the organisation ${slug}.`,
  );

export const loadHubAdmins = (cursor?: string) => call("GET", "instance-admins", { query: { limit: 100, cursor } });
export const loadHubAudit = (cursor?: string) => call("GET", "instance-audit", { query: { limit: 20, cursor } });
export const setHubAdmin = (username: string, admin: boolean) =>
  withStrictStepUp(
    () => call("POST", "instance-admins", { body: { username, admin } }),
    t`Enter your password to change the admins of the hub.`,
  );

export const loadMembers = (cursor?: string) => call("GET", "members", { query: { limit: 100, cursor } });
export const offerMembership = (body: NewMemberBody) =>
  withStrictStepUp(() => call("POST", "members", { body }), t`Enter your password to offer a membership.`);
export const patchMember = (name: string, body: MemberPatch) =>
  withStrictStepUp(() => call("PATCH", member(name), { body }), t`Enter your password to change the member ${name}.`);
/** Args: issuer: of an offer to an address at a provider. */
export const removeMember = (name: string, issuer = "") =>
  withStrictStepUp(
    () => call("DELETE", member(name), issuer ? { query: { issuer } } : {}),
    t`Enter your password to remove ${name} from the organisation.`,
  );

export const loadOffers = async () => (await call("GET", "auth/offers")).offers;
export const answerOffer = (slug: string, accept: boolean) => call("POST", "auth/offers", { body: { organisation: slug, accept } });
