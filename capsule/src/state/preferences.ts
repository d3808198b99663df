/** The user's own preferences, stored by the hub. */

import { signal } from "@preact/signals";
import { ApiError, call, OVER } from "../wire/http";
import type { PreferencesPatch, PreferencesView } from "../wire/schema.gen";
import { onSessionEnd, phase, user } from "./session";

const NONE: PreferencesView = { views: [], single_keys: true, network_bits: false, columns: [] };

export const preferences = signal<PreferencesView>(NONE);

/** Whether single letters are shortcuts. */
export const singleKeys = (): boolean => preferences.peek().single_keys;

/** Whether network rates are in bits per second. */
export const inBits = (): boolean => preferences.value.network_bits;

let saves = 0;
let last: Promise<unknown> = Promise.resolve();

/** Saves patches one after the other, so that the last answer contains all of them. A patch that waits while the session ends is dropped. */
export async function savePreferences(patch: PreferencesPatch): Promise<void> {
  saves += 1;
  const who = user.peek()?.username;
  const answer = last.then(() => {
    if (user.peek()?.username !== who) throw OVER;
    return call("PATCH", "auth/preferences", { body: patch });
  });
  last = answer.catch(() => undefined);
  preferences.value = await answer;
}

phase.subscribe((at) => {
  if (at !== "ready") return;
  const before = saves;
  call("GET", "auth/preferences").then(
    (found) => {
      if (saves === before) preferences.value = found;
    },
    (error: unknown) => {
      if (!(error instanceof ApiError)) throw error; // offline or not allowed: the defaults apply
    },
  );
});
onSessionEnd(() => {
  saves += 1;
  preferences.value = NONE;
});
