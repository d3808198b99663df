/**
 * Edits the saved views in the hub's current list, because another tab may have saved a view since this page was loaded.
 *
 * The hub takes the whole list without a version: if two browsers save at the same time, the first change is lost. Reading the list again
 * would not show the loss, because the other browser may have removed the view.
 */

import { call } from "../wire/http";
import type { SavedViewView } from "../wire/schema.gen";
import { savePreferences } from "./preferences";

let last: Promise<unknown> = Promise.resolve();

/** Runs edits one after the other. Returns the views as they were before the edit. */
export function editViews(edit: (views: readonly SavedViewView[]) => SavedViewView[]): Promise<readonly SavedViewView[]> {
  const done = last.then(async () => {
    const { views } = await call("GET", "auth/preferences");
    await savePreferences({ views: edit(views) });
    return views;
  });
  last = done.catch(() => undefined);
  return done;
}
