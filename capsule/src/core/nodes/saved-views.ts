/** Saved views: each edit changes one view, and keeps the changes of other tabs. */

export interface SavedView {
  readonly name: string;
  readonly query: string;
}

/** The view of this name. Upper and lower case are equal, as in the hub. */
export const findView = (views: readonly SavedView[], name: string): SavedView | undefined =>
  views.find((view) => view.name.toLowerCase() === name.toLowerCase());

/** Replaces the view of the same name, or inserts the view at position `at`. */
export function withView(views: readonly SavedView[], made: SavedView, at = views.length): SavedView[] {
  const same = findView(views, made.name);
  return same ? views.map((view) => (view === same ? made : view)) : [...views.slice(0, at), made, ...views.slice(at)];
}

export const withoutView = (views: readonly SavedView[], name: string): SavedView[] =>
  views.filter((view) => view !== findView(views, name));
