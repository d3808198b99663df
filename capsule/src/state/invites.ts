/** Invites, and nodes that wait for approval. The secret of an invite is passed on and not stored here. */

import { t } from "../core/text";
import { call } from "../wire/http";
import type { InviteBody } from "../wire/schema.gen";
import { withStrictStepUp } from "./step-up";

/** Creates an invite. If the hub requires the password, the caller asks for it. */
export const makeInvite = (body: InviteBody) => call("POST", "invites", { body });
export const loadInvites = (cursor?: string) => call("GET", "invites", { query: { limit: 100, ...(cursor ? { cursor } : {}) } });
export const lookInvite = (id: string) => call("GET", `invites/${id}`);
export const endInvite = (id: string) => call("DELETE", `invites/${id}`);
export const approveNode = (id: string) => call("POST", `nodes/${id}/approve`);
export const rejectNode = (id: string) =>
  withStrictStepUp(() => call("POST", `nodes/${id}/reject`), t`Enter your password to reject a node.`);
