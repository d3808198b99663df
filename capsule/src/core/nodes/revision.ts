/** What a declarative configuration (NixOS, nix-darwin, Home Manager) says of itself. */

import { t } from "../text/i18n";

/** The digits of a revision that people compare. */
const SHOWN_DIGITS = 8;

/** Revision and generation, such as `1a2b3c4d · generation 42`; empty = neither is known. */
export function revisionText({ revision, generation }: { revision: string; generation: number | null }): string {
  const [digits = "", dirty] = revision.split("-");
  const short = digits.slice(0, SHOWN_DIGITS) + (dirty ? `-${dirty}` : "");
  return [short, generation === null ? "" : t`generation ${generation}`].filter(Boolean).join(" · ");
}
