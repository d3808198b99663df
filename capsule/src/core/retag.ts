/** Tags of several nodes at once. */

/** The tags of a node after some are added and some taken away; null = nothing changes. */
export function retagged(tags: readonly string[], add: readonly string[], remove: readonly string[]): string[] | null {
  const left = tags.filter((tag) => !remove.includes(tag));
  const next = [...left, ...add.filter((tag) => !left.includes(tag))];
  return next.length === tags.length && next.every((tag, index) => tag === tags[index]) ? null : next;
}

/** Each tag with how many of the nodes have it, the most common first. */
export function tagCounts(nodes: readonly { tags: readonly string[] }[]): [string, number][] {
  const found = new Map<string, number>();
  for (const { tags } of nodes) for (const tag of tags) found.set(tag, (found.get(tag) ?? 0) + 1);
  return [...found].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}
