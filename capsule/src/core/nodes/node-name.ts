/** The hub's rules for node names and tags, checked before the request. */

import { t } from "../text";

const MAX_NAME = 100;
const MAX_TAG = 64;
const MAX_TAGS = 32;
/** Error texts show this many characters of a tag that is too long. */
const SHOWN = 20;

/** Characters that are not displayed, and letters without ink, as in the hub (`spider/wire/text.py`). */
const INVISIBLE = /[\p{C}\p{DI}\u2800\u{1d159}]/u;

/** The hub counts characters, not UTF-16 code units. */
const lengthOf = (text: string): number => [...text].length;

/** The code of the first character that is invisible or changes the direction of the text; empty = there is none. */
function invisibleCharacter(text: string): string {
  const [found] = INVISIBLE.exec(text.replace(/\s+/g, " ")) ?? [];
  return found ? `U+${(found.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}` : "";
}

/** The error of a name; empty = none. An empty name has no error. */
export function nameError(name: string): string {
  const hidden = invisibleCharacter(name);
  if (hidden) return t`It contains a character that cannot be seen (${hidden}). Delete the name and type it again.`;
  const length = lengthOf(name.trim());
  return length > MAX_NAME ? t`A name has at most ${MAX_NAME} characters; this has ${length}.` : "";
}

/** The error of the tags; empty = none. */
export function tagsError(tags: readonly string[]): string {
  const hidden = tags.find((tag) => invisibleCharacter(tag));
  // The message leaves the character out: it could change the direction of the message, too.
  if (hidden)
    return t`The tag ${hidden.replace(new RegExp(INVISIBLE, "gu"), "")} contains a character that cannot be seen (${invisibleCharacter(hidden)}). Remove it and type it again.`;
  const long = tags.find((tag) => lengthOf(tag) > MAX_TAG);
  if (long) return t`A tag has at most ${MAX_TAG} characters; ${[...long].slice(0, SHOWN).join("")}… has ${lengthOf(long)}.`;
  return tags.length > MAX_TAGS ? t`There are at most ${MAX_TAGS} tags; these are ${tags.length}.` : "";
}
