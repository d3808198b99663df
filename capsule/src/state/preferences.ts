/** What somebody has set up for their own page: kept by the hub, shown as it answered. */

import { signal } from "@preact/signals";
import { ApiError, call, OVER } from "../wire/http";
import type { PreferencesPatch, PreferencesView } from "../wire/schema.gen";
import { onSessionEnd, phase, user } from "./session";

const NONE: PreferencesView = { views: [], single_keys: true, network_bits: false };

export const preferences = signal<PreferencesView>(NONE);

/** Whether a single letter is a command. */
export const singleKeys = (): boolean => preferences.peek().single_keys;

/** Whether networks are told of in bits a second. */
export const inBits = (): boolean => preferences.value.network_bits;

let saves = 0;
let last: Promise<unknown> = Promise.resolve();

/** One after another, so that the last answer has all of them; what waits when its session ends is not the next one's. */
export async function savePreferences(patch: PreferencesPatch): Promise<void> {
  saves += 1;
  const who = user.peek()?.username;
  const answer = last.then(() => {
    if (user.peek()?.username !== who) throw OVER;
    return call<PreferencesView>("PATCH", "auth/preferences", { body: patch });
  });
  last = answer.catch(() => undefined);
  preferences.value = await answer;
}

phase.subscribe((at) => {
  if (at !== "ready") return;
  const before = saves;
  call<PreferencesView>("GET", "auth/preferences").then(
    (found) => {
      if (saves === before) preferences.value = found;
    },
    (error: unknown) => {
      if (!(error instanceof ApiError)) throw error; // away, or not allowed: what nobody set up is what there is
    },
  );
});
onSessionEnd(() => {
  saves += 1;
  preferences.value = NONE;
});
