/** Versions of packages in the order in which they came, near enough for a list: who installs them decides for itself. */

/** Digits and what stands between them, of a version without its epoch. */
const parts = (text: string): string[] => text.match(/\d+|\D+/g) ?? [];

/** What a `~` marks comes before what has none, as in 1.0~rc1 and 1.0. */
function piece(a: string | undefined, b: string | undefined): number {
  if (a === b) return 0;
  if (a?.startsWith("~") || b?.startsWith("~")) return a?.startsWith("~") ? (b?.startsWith("~") ? (a < b ? -1 : 1) : -1) : 1;
  if (a === undefined || b === undefined) return a === undefined ? -1 : 1;
  const [left, right] = [Number(a), Number(b)];
  return Number.isNaN(left) || Number.isNaN(right) ? (a < b ? -1 : 1) : left - right;
}

/** Below 0 where the first is the older one. */
export function compareVersions(one: string, other: string): number {
  const [a, b] = [one, other].map((version) => parts(version.includes(":") ? version : `0:${version}`)) as [string[], string[]];
  for (let at = 0; at < Math.max(a.length, b.length); at += 1) {
    const found = piece(a[at], b[at]);
    if (found) return found;
  }
  return 0;
}

/** Each once, the newest first. */
export const newestFirst = (versions: readonly string[]): string[] => [...new Set(versions)].sort((a, b) => compareVersions(b, a));
