/** Sorts package versions for lists. The order is close to that of the package managers, which have rules of their own. */

/** The runs of digits and of other characters. */
const parts = (text: string): string[] => text.match(/\d+|\D+/g) ?? [];

/** Compares two parts; negative if the first is older. A part with `~` comes before a missing part: 1.0~rc1 before 1.0. */
function piece(a: string | undefined, b: string | undefined): number {
  if (a === b) return 0;
  if (a?.startsWith("~") || b?.startsWith("~")) return a?.startsWith("~") ? (b?.startsWith("~") ? (a < b ? -1 : 1) : -1) : 1;
  if (a === undefined || b === undefined) return a === undefined ? -1 : 1;
  const [left, right] = [Number(a), Number(b)];
  return Number.isNaN(left) || Number.isNaN(right) ? (a < b ? -1 : 1) : left - right;
}

/** Compares two versions; negative if the first is older. */
export function compareVersions(one: string, other: string): number {
  const [a, b] = [one, other].map((version) => parts(version.includes(":") ? version : `0:${version}`)) as [string[], string[]];
  for (let at = 0; at < Math.max(a.length, b.length); at += 1) {
    const found = piece(a[at], b[at]);
    if (found) return found;
  }
  return 0;
}

/** Each version once, the newest first. */
export const newestFirst = (versions: readonly string[]): string[] => [...new Set(versions)].sort((a, b) => compareVersions(b, a));
