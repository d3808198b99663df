/** Passkeys: the browser asks the user for one, and the hub checks the answer. Both write bytes as base64url. */

import { t } from "../core/text";
import { ApiError, call } from "../wire/http";
import type { AssertionBody, PasskeyRequestView, PasskeyView } from "../wire/schema.gen";
import { withStrictStepUp } from "./step-up";

/** A challenge of the hub. */
export type PasskeyRequest = Pick<PasskeyRequestView, "challenge" | "host" | "credentials">;

const bytes = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
const text = (raw: ArrayBuffer): string =>
  btoa(String.fromCharCode(...new Uint8Array(raw)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

/** The user closed the browser's question, or no passkey fits. */
const refused = (): ApiError => new ApiError("auth.totp_wrong", 401, t`the browser gave no passkey: try again, or use a code`);

const ids = (request: PasskeyRequest): PublicKeyCredentialDescriptor[] =>
  request.credentials.map((one) => ({ type: "public-key", id: bytes(one) }));

/** Asks the user for one of their passkeys. Raises: ApiError. */
export async function prove(request: PasskeyRequest): Promise<AssertionBody> {
  const found = (await navigator.credentials
    .get({
      publicKey: {
        challenge: bytes(request.challenge),
        rpId: request.host,
        allowCredentials: ids(request),
        userVerification: "preferred",
      },
    })
    .catch(() => null)) as PublicKeyCredential | null;
  if (!found) throw refused();
  const response = found.response as AuthenticatorAssertionResponse;
  return {
    credential: text(found.rawId),
    client_data: text(response.clientDataJSON),
    authenticator_data: text(response.authenticatorData),
    signature: text(response.signature),
  };
}

export const challenge = () => call("POST", "auth/passkeys/challenge");
export const loadPasskeys = () => call("GET", "auth/passkeys");
export const removePasskey = (id: string) =>
  withStrictStepUp(() => call("DELETE", `auth/passkeys/${id}`), t`Enter your password to remove a passkey.`);

/** Lets the browser make a passkey, and stores it. Raises: ApiError. */
export async function addPasskey(name: string, username: string): Promise<PasskeyView> {
  const request = await challenge();
  const made = (await navigator.credentials
    .create({
      publicKey: {
        challenge: bytes(request.challenge),
        rp: { id: request.host, name: "Stardust" },
        user: { id: new TextEncoder().encode(request.user), name: username, displayName: username },
        pubKeyCredParams: [-8, -7, -257].map((alg) => ({ type: "public-key", alg })),
        excludeCredentials: ids(request),
        authenticatorSelection: { residentKey: "preferred", userVerification: "preferred" },
      },
    })
    .catch(() => null)) as PublicKeyCredential | null;
  if (!made) throw refused();
  const response = made.response as AuthenticatorAttestationResponse;
  const body = {
    name,
    credential: text(made.rawId),
    client_data: text(response.clientDataJSON),
    attestation_object: text(response.attestationObject),
  };
  return withStrictStepUp(() => call("POST", "auth/passkeys", { body }), t`Enter your password to add a passkey.`);
}
