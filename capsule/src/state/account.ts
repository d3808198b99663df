/** The own account: sessions and the second factor. Secrets pass through to the dialog that asked; nothing of them is kept here. */

import { call } from "../wire/http";
import type { RecoveryCodesView, SessionsView, TotpView } from "../wire/schema.gen";
import { withStepUp } from "./step-up";

const PAGE = 50;

/** One's own, or as admin those of somebody else. */
export const loadSessions = (cursor?: string, user?: string): Promise<SessionsView> => call<SessionsView>("GET", "auth/sessions", { query: { limit: PAGE, cursor, user } });
export const endSession = (id: string): Promise<void> => withStepUp(() => call<undefined>("DELETE", `auth/sessions/${id}`));
/** All of the own ones but this. */
export const endOtherSessions = (): Promise<void> => withStepUp(() => call<undefined>("DELETE", "auth/sessions"));

/** A new secret; it counts from `confirmTotp` on. */
export const beginTotp = (): Promise<TotpView> => withStepUp(() => call<TotpView>("POST", "auth/totp"));
export const confirmTotp = (code: string): Promise<RecoveryCodesView> => withStepUp(() => call<RecoveryCodesView>("POST", "auth/totp/confirm", { body: { code } }));
/** The old ones are worth nothing from then on. */
export const newRecoveryCodes = (): Promise<RecoveryCodesView> => withStepUp(() => call<RecoveryCodesView>("POST", "auth/recovery-codes"));
export const stopTotp = (): Promise<void> => withStepUp(() => call<undefined>("DELETE", "auth/totp"));
