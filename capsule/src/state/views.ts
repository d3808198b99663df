/**
 * Saved views are edited in the hub's current list: another tab may have saved one since this page was loaded.
 *
 * The hub takes the whole list without a version. If two browsers save at the same time, the last list wins and the other change is lost.
 * Reading it back would not help: it cannot tell this from a view that was removed.
 */

import { call } from "../wire/http";
import type { PreferencesView, SavedViewView } from "../wire/schema.gen";
import { savePreferences } from "./preferences";

let last: Promise<unknown> = Promise.resolve();

/** Runs one edit after the other. Returns the views from before. */
export function editViews(edit: (views: readonly SavedViewView[]) => SavedViewView[]): Promise<readonly SavedViewView[]> {
  const done = last.then(async () => {
    const { views } = await call<PreferencesView>("GET", "auth/preferences");
    await savePreferences({ views: edit(views) });
    return views;
  });
  last = done.catch(() => undefined);
  return done;
}
