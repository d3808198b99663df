/** What a declarative configuration (NixOS, nix-darwin, Home Manager) says of itself. */

/** The digits of a revision that people compare. */
const SHOWN_DIGITS = 8;

/** The first digits of a revision, and whether its tree was dirty, such as `1a2b3c4d-dirty`; empty = not known. */
export function shortRevision(revision: string): string {
  const [digits = "", dirty] = revision.split("-");
  return digits.slice(0, SHOWN_DIGITS) + (dirty ? `-${dirty}` : "");
}

/** Revision and generation in one word each, such as `1a2b3c4d #42`; empty = neither is known. */
export const revisionText = ({ revision, generation }: { revision: string; generation: number | null }): string =>
  [shortRevision(revision), generation === null ? "" : `#${generation}`].filter(Boolean).join(" ");
