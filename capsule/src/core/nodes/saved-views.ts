/** Saved views: one act changes one of them, whatever another tab has made of the others meanwhile. */

export interface SavedView {
  readonly name: string;
  readonly query: string;
}

/** The hub takes two names that differ in their case for one. */
export const findView = (views: readonly SavedView[], name: string): SavedView | undefined => views.find((view) => view.name.toLowerCase() === name.toLowerCase());

/** Replaces the one of this name, or stands at the end; `at`: where it stood before. */
export function withView(views: readonly SavedView[], made: SavedView, at = views.length): SavedView[] {
  const same = findView(views, made.name);
  return same ? views.map((view) => (view === same ? made : view)) : [...views.slice(0, at), made, ...views.slice(at)];
}

export const withoutView = (views: readonly SavedView[], name: string): SavedView[] => views.filter((view) => view !== findView(views, name));
