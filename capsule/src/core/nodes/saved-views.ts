/** Saved views: each edit changes one view, and keeps the changes of other tabs. */

export interface SavedView {
  readonly name: string;
  readonly query: string;
}

/** The hub compares names without regard to case. */
export const findView = (views: readonly SavedView[], name: string): SavedView | undefined => views.find((view) => view.name.toLowerCase() === name.toLowerCase());

/** Replaces the view of this name, or appends it; `at` is its former position. */
export function withView(views: readonly SavedView[], made: SavedView, at = views.length): SavedView[] {
  const same = findView(views, made.name);
  return same ? views.map((view) => (view === same ? made : view)) : [...views.slice(0, at), made, ...views.slice(at)];
}

export const withoutView = (views: readonly SavedView[], name: string): SavedView[] => views.filter((view) => view !== findView(views, name));
