/** The hub's own SSH key: its public half, and the order to make one. */

import { call } from "../wire/http";
import type { HubKeyStateView, HubKeyView } from "../wire/schema.gen";

/** null: there is none. */
export async function loadHubKey(): Promise<HubKeyView | null> {
  return (await call<HubKeyStateView>("GET", "hub-key")).key;
}

/** The caller asks for the password where the hub requires it. */
export async function createHubKey(replace: boolean): Promise<HubKeyView | null> {
  return (await call<HubKeyStateView>("POST", "hub-key", { body: { replace } })).key;
}

export async function removeHubKey(): Promise<void> {
  await call<undefined>("DELETE", "hub-key");
}
