/** The viewer's own account: sessions and the second factor. Secrets are returned to the dialog and not stored here. */

import { t } from "../core/text";
import { call } from "../wire/http";
import { reloadUser, user } from "./session";
import { withStepUp, withStrictStepUp } from "./step-up";
import { ApiError } from "./types";

const PAGE = 50;

/** A page of the viewer's own sessions, or of those of another user (only for admins). */
export const loadSessions = (cursor?: string, user?: string) => call("GET", "auth/sessions", { query: { limit: PAGE, cursor, user } });
export const endSession = (id: string) => withStepUp(() => call("DELETE", `auth/sessions/${id}`), t`Enter your password to end a session.`);
/** Ends all of the viewer's sessions except this one. */
export const endOtherSessions = () => withStepUp(() => call("DELETE", "auth/sessions"), t`Enter your password to end all other sessions.`);

/** Creates a new secret, which is active after `switchOnTotp`. */
export const beginTotp = () => withStrictStepUp(() => call("POST", "auth/totp"), t`Enter your password to set up a second factor.`);
const confirmTotp = (code: string) =>
  withStrictStepUp(() => call("POST", "auth/totp/confirm", { body: { code } }), t`Enter your password to set up a second factor.`);

/**
 * Switches the second factor on with a first code. Returns the recovery codes, or null if it was switched on but the answer was lost: then the
 * user needs new codes.
 */
export async function switchOnTotp(code: string): Promise<readonly string[] | null> {
  try {
    return (await confirmTotp(code)).codes;
  } catch (error) {
    if (!(error instanceof ApiError) || error.code === "auth.totp_wrong") throw error;
    await reloadUser();
    if (!user.peek()?.totp_enabled) throw error;
    return null;
  }
}

/** Creates recovery codes; the old ones become invalid. */
export const newRecoveryCodes = () =>
  withStrictStepUp(() => call("POST", "auth/recovery-codes"), t`Enter your password to make new recovery codes.`);
export const stopTotp = () => withStrictStepUp(() => call("DELETE", "auth/totp"), t`Enter your password to remove the second factor.`);
