/** Single sign-on: the way to a provider and back, linked accounts, and the providers that admins set up. */

import { call } from "../wire/http";
import type { NewProviderBody, ProviderPatch, SsoFinishBody, SsoFinishView, SsoStartView } from "../wire/schema.gen";
import { enterAnew } from "./session";
import { withStrictStepUp } from "./step-up";
import { t } from "../core/text";

export type Purpose = "login" | "link" | "step_up";

export const loadButtons = async () => (await call("GET", "auth/oidc", { always: true })).providers;

/** Leaves the page for the provider. It comes back to `/oidc`, and then to `returnTo`. */
export async function leaveFor(provider: string, purpose: Purpose, returnTo: string): Promise<void> {
  const start = (): Promise<SsoStartView> =>
    call("POST", `auth/oidc/${provider}/start`, { body: { purpose, return_to: returnTo }, renews: purpose !== "login" });
  const { location: to } = purpose === "link" ? await withStrictStepUp(start, t`Enter your password to link an account.`) : await start();
  location.assign(to);
}

/** Takes what the provider said out of the address, so that neither the history nor a screenshot shows it. */
export function takeReturned(): SsoFinishBody {
  const query = new URLSearchParams(location.search);
  history.replaceState(history.state, "", location.pathname);
  const text = (name: string): string => query.get(name) ?? "";
  return { state: text("state"), code: text("code"), iss: text("iss"), error: text("error"), error_description: text("error_description") };
}

/** Finishes a sign-in, a link or a confirmation. Raises: ApiError; with `auth.totp_required` its facts have the state for the next try. */
export async function finish(returned: SsoFinishBody): Promise<SsoFinishView> {
  const answer = await call("POST", "auth/oidc/finish", { body: returned, renews: false });
  if (answer.login) enterAnew(answer.login);
  return answer;
}

export const loadLinks = async () => (await call("GET", "auth/oidc/links")).links;
export const removeLink = (id: string) =>
  withStrictStepUp(() => call("DELETE", `auth/oidc/links/${id}`), t`Enter your password to remove a linked account.`);

export const loadProviders = async () => (await call("GET", "auth/oidc/providers")).providers;
const QUESTION = t`Enter your password to change sign-in providers.`;
export const addProvider = (body: NewProviderBody) => withStrictStepUp(() => call("POST", "auth/oidc/providers", { body }), QUESTION);
export const saveProvider = (name: string, body: ProviderPatch) =>
  withStrictStepUp(() => call("PATCH", `auth/oidc/providers/${name}`, { body }), QUESTION);
export const deleteProvider = (name: string) => withStrictStepUp(() => call("DELETE", `auth/oidc/providers/${name}`), QUESTION);
export const checkProvider = (name: string) => call("POST", `auth/oidc/providers/${name}/check`);
export const loadRule = () => call("GET", "auth/oidc/rule");
/** The caller is the admin who keeps the password. */
export const saveRule = (sso_only: boolean) => withStrictStepUp(() => call("PATCH", "auth/oidc/rule", { body: { sso_only } }), QUESTION);
export const loadAttempts = async (name: string) => (await call("GET", `auth/oidc/providers/${name}/attempts`)).attempts;
