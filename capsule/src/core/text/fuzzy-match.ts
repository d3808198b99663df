/** The search of the command palette: each word must occur in a label, and matches at the beginning of a word come first. */

/** The score of a match: lower is better, and -1 = no match. */
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

/** The matches, the best first. Equal matches keep their order. */
export function bestMatches<T>(text: string, things: readonly T[], label: (one: T) => string, most: number): T[] {
  return things
    .map((one, place) => ({ one, place, rank: matchScore(text, label(one)) }))
    .filter(({ rank }) => rank >= 0)
    .sort((a, b) => a.rank - b.rank || a.place - b.place)
    .slice(0, most)
    .map(({ one }) => one);
}
