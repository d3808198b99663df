/**
 * Saved views are changed as the hub has them at that moment: another tab may have saved some since this page was read.
 *
 * The hub takes the whole list, under no version: of two browsers that save at once, the one whose list arrives last has it, and what the other saved between its reading
 * and its writing is lost. To read again afterwards does not tell that from a view that somebody removed.
 */

import { call } from "../wire/http";
import type { PreferencesView, SavedViewView } from "../wire/schema.gen";
import { savePreferences } from "./preferences";

let last: Promise<unknown> = Promise.resolve();

/** One after another. Returns what was there before. */
export function editViews(edit: (views: readonly SavedViewView[]) => SavedViewView[]): Promise<readonly SavedViewView[]> {
  const done = last.then(async () => {
    const { views } = await call<PreferencesView>("GET", "auth/preferences");
    await savePreferences({ views: edit(views) });
    return views;
  });
  last = done.catch(() => undefined);
  return done;
}
