/** What the hub takes as a node's name and as its tags, said before it is sent. */

import { t } from "../text/i18n";

const LONGEST_NAME = 100;
const LONGEST_TAG = 64;
const MOST_TAGS = 32;
/** Of one that is too long, what tells it from the others. */
const SHOWN = 20;

/** As the hub has it (`spider/wire/text.py`): what is ignored where text is shown, and letters without ink. */
const UNSEEN = /[\p{C}\p{DI}\u2800\u{1d159}]/u;

/** The hub counts characters, not the halves of which some are made. */
const lengthOf = (text: string): number => [...text].length;

/** Takes no room, or turns round what stands beside it: nobody sees that it is there. Empty = none is. */
function unseen(text: string): string {
  const [found] = UNSEEN.exec(text.replace(/\s+/g, " ")) ?? [];
  return found ? `U+${(found.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}` : "";
}

/** What is wrong with a name; empty = nothing, or there is none yet. */
export function nameError(name: string): string {
  const hidden = unseen(name);
  if (hidden) return t`It contains a character that cannot be seen (${hidden}). Delete the name and type it again.`;
  const length = lengthOf(name.trim());
  return length > LONGEST_NAME ? t`A name has at most ${LONGEST_NAME} characters; this has ${length}.` : "";
}

/** What is wrong with some tags; empty = nothing. */
export function tagsError(tags: readonly string[]): string {
  const hidden = tags.find((tag) => unseen(tag));
  // Said with it, the words would turn round as well.
  if (hidden) return t`The tag ${hidden.replace(new RegExp(UNSEEN, "gu"), "")} contains a character that cannot be seen (${unseen(hidden)}). Remove it and type it again.`;
  const long = tags.find((tag) => lengthOf(tag) > LONGEST_TAG);
  if (long) return t`A tag has at most ${LONGEST_TAG} characters; ${[...long].slice(0, SHOWN).join("")}… has ${lengthOf(long)}.`;
  return tags.length > MOST_TAGS ? t`There are at most ${MOST_TAGS} tags; these are ${tags.length}.` : "";
}
