/** Tags of several nodes. */

/** The tags of a node after additions and removals; null = no change. */
export function applyTagChange(tags: readonly string[], add: readonly string[], remove: readonly string[]): string[] | null {
  const left = tags.filter((tag) => !remove.includes(tag));
  const next = [...left, ...add.filter((tag) => !left.includes(tag))];
  return same(next, tags) ? null : next;
}

const same = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((tag, index) => tag === other[index]);

/** Applies the change from `before` to `after` to the current tags; null = no change. Changes of other users are kept. */
export function rebaseTags(now: readonly string[], before: readonly string[], after: readonly string[]): string[] | null {
  if (same(now, before)) return same(now, after) ? null : [...after];
  return applyTagChange(
    now,
    after.filter((tag) => !before.includes(tag)),
    before.filter((tag) => !after.includes(tag)),
  );
}

interface Named {
  name: string;
  tags: readonly string[];
}

/** Applies the change of name and tags from `before` to `after` to the current node; null = no change. A name that another user has set since is kept. */
export function rebasePatch(now: Named, before: Named, after: Named): { name?: string; tags?: string[] } | null {
  const name = now.name === before.name && now.name !== after.name ? { name: after.name } : {};
  const tags = rebaseTags(now.tags, before.tags, after.tags);
  const patch = { ...name, ...(tags ? { tags } : {}) };
  return Object.keys(patch).length ? patch : null;
}

/** Each tag with its number of nodes, the most common first. */
export function tagCounts(nodes: readonly { tags: readonly string[] }[]): [string, number][] {
  const found = new Map<string, number>();
  for (const { tags } of nodes) for (const tag of tags) found.set(tag, (found.get(tag) ?? 0) + 1);
  return [...found].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}
