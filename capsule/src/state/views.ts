/** Saved views are changed as the hub has them at that moment: another tab may have saved some since they were read here. */

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
