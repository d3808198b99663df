/** The hub's own SSH key: load its public half, create, replace and remove it. */

import { call } from "../wire/http";
import type { HubKeyView } from "../wire/schema.gen";

/** Null = the hub has no key. */
export async function loadHubKey(): Promise<HubKeyView | null> {
  return (await call("GET", "hub-key")).key;
}

/** If the hub requires the password, the caller asks for it. */
export async function createHubKey(replace: boolean): Promise<HubKeyView | null> {
  return (await call("POST", "hub-key", { body: { replace } })).key;
}

export async function removeHubKey(): Promise<void> {
  await call("DELETE", "hub-key");
}
