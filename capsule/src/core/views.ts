/** Saved views: one act changes one of them, whatever another tab has made of the others meanwhile. */

export interface View {
  readonly name: string;
  readonly query: string;
}

/** The hub takes two names that differ in their case for one. */
export const named = (views: readonly View[], name: string): View | undefined => views.find((view) => view.name.toLowerCase() === name.toLowerCase());

/** Replaces the one of this name, or stands at the end; `at`: where it stood before. */
export function withView(views: readonly View[], made: View, at = views.length): View[] {
  const same = named(views, made.name);
  return same ? views.map((view) => (view === same ? made : view)) : [...views.slice(0, at), made, ...views.slice(at)];
}

export const withoutView = (views: readonly View[], name: string): View[] => views.filter((view) => view !== named(views, name));
