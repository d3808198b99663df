/** What somebody has set up for their own page: kept by the hub, shown as it answered. */

import { signal } from "@preact/signals";
import { ApiError, call } from "../wire/http";
import type { PreferencesPatch, PreferencesView } from "../wire/schema.gen";
import { onSessionEnd, phase } from "./session";

const NONE: PreferencesView = { views: [], single_keys: true };

export const preferences = signal<PreferencesView>(NONE);

/** Whether a single letter is a command. */
export const singleKeys = (): boolean => preferences.peek().single_keys;

export async function savePreferences(patch: PreferencesPatch): Promise<void> {
  preferences.value = await call<PreferencesView>("PATCH", "auth/preferences", { body: patch });
}

phase.subscribe((at) => {
  if (at !== "ready") return;
  call<PreferencesView>("GET", "auth/preferences").then(
    (found) => {
      preferences.value = found;
    },
    (error: unknown) => {
      if (!(error instanceof ApiError)) throw error; // away, or not allowed: what nobody set up is what there is
    },
  );
});
onSessionEnd(() => {
  preferences.value = NONE;
});
