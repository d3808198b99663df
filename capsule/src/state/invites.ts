/** Invites, and nodes that wait for approval. The secret of an invite is passed on and not stored here. */

import { t } from "../core/text/i18n";
import { call } from "../wire/http";
import type { InviteBody, InvitesView, InviteView, NewInviteView, NodeView } from "../wire/schema.gen";
import { withStrictStepUp } from "./step-up";

/** Creates an invite. If the hub requires the password, the caller asks for it. */
export const makeInvite = (body: InviteBody): Promise<NewInviteView> => call<NewInviteView>("POST", "invites", { body });
export const loadInvites = (cursor?: string): Promise<InvitesView> =>
  call<InvitesView>("GET", "invites", { query: { limit: 100, ...(cursor ? { cursor } : {}) } });
export const lookInvite = (id: string): Promise<InviteView> => call<InviteView>("GET", `invites/${id}`);
export const endInvite = (id: string): Promise<void> => call<undefined>("DELETE", `invites/${id}`);
export const approveNode = (id: string): Promise<NodeView> => call<NodeView>("POST", `nodes/${id}/approve`);
export const rejectNode = (id: string): Promise<void> =>
  withStrictStepUp(() => call<undefined>("POST", `nodes/${id}/reject`), t`Enter your password to reject a node.`);
