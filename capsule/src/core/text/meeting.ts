/** Two people who change one object: what was typed is kept, field by field, upon what the other has saved meanwhile. */

import { fieldChange } from "./import-file";

export interface Meeting<T> {
  /** What the other has saved, with the fields that were changed here. */
  draft: T;
  /** The fields in which it differs from what the other has saved, in words. */
  ours: string[];
  /** What only the other has changed, in words. */
  theirs: string[];
}

/** As text without what says nothing: a form leaves out empty lists that an answer has. */
const bare = (value: unknown): string | undefined =>
  JSON.stringify(value, (_, one: unknown) => (one === null || one === false || (Array.isArray(one) && !one.length) ? undefined : one));

/** `base`: what both began with. `parts`: fields that are objects whose own fields do not depend on each other. */
export function meet<T extends object>(base: T, mine: T, other: T, parts: readonly (keyof T)[] = []): Meeting<T> {
  const found: Meeting<T> = { draft: { ...other }, ours: [], theirs: [] };
  for (const field of Object.keys({ ...base, ...mine, ...other }) as (keyof T & string)[]) {
    if (parts.includes(field)) {
      const part = meet<object>(...([base, mine, other].map((one) => one[field] ?? {}) as [object, object, object]));
      found.draft[field] = part.draft as T[typeof field];
      found.ours.push(...part.ours);
      found.theirs.push(...part.theirs);
      continue;
    }
    const changed = (one: T, from: T): boolean => bare(one[field]) !== bare(from[field]);
    const say = (before: T, after: T): string => fieldChange({ field, before: before[field] ?? null, after: after[field] ?? null });
    if (changed(mine, base)) {
      found.draft[field] = mine[field];
      if (changed(mine, other)) found.ours.push(say(other, mine));
    } else if (changed(other, base)) found.theirs.push(say(base, other));
  }
  return found;
}
