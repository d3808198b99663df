/** What the palette finds: each word must stand somewhere; what begins with it comes first. */

/** Lower = better; -1 = it does not fit. */
export function matchScore(text: string, label: string): number {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const inside = label.toLowerCase();
  let sum = 0;
  for (const word of words) {
    const at = inside.indexOf(word);
    if (at < 0) return -1;
    sum += at === 0 ? 0 : /[\s\-_.:/]/.test(inside.charAt(at - 1)) ? 1 : 2;
  }
  return sum;
}

/** Those that fit, the best first, in the order they came with where they fit alike. */
export function bestMatches<T>(text: string, things: readonly T[], label: (one: T) => string, most: number): T[] {
  return things
    .map((one, place) => ({ one, place, rank: matchScore(text, label(one)) }))
    .filter(({ rank }) => rank >= 0)
    .sort((a, b) => a.rank - b.rank || a.place - b.place)
    .slice(0, most)
    .map(({ one }) => one);
}
