/** Messages in the language of the catalogue. The sources have the English texts; a message without a translation is shown in English. */

/** The forms of a word after a number, by the names of `Intl.PluralRules`. */
type Forms = Readonly<Record<string, string>>;

/**
 * The translation of each message. A message is the English text with numbered placeholders: `{0} of {1} nodes`. The key `{}` holds the name
 * of the language.
 */
export type Catalogue = Readonly<Record<string, string | Forms>>;

type Value = string | number;

/**
 * The catalogue. A script that runs before the scripts of the page sets it, so that modules can build tables of labels when they load. It has
 * no prototype: `constructor` is an ordinary key.
 */
const words: Catalogue = (globalThis as { stardustWords?: Catalogue }).stardustWords ?? ({ __proto__: null } as unknown as Catalogue);
let rules: Intl.PluralRules | undefined;
/** The pieces of the translation for each call: texts, and at odd positions the numbers of placeholders. */
const translated = new Map<TemplateStringsArray, readonly string[]>();

/** The translation of one of the hub's names (metric, unit, column), or the name itself if the catalogue does not have it. */
export const translate = (text: string): string => (words[text] ?? text) as string;

function pieces(parts: TemplateStringsArray): readonly string[] {
  let found = translated.get(parts);
  if (!found) translated.set(parts, (found = translate(parts.reduce((text, part, at) => `${text}{${at - 1}}${part}`)).split(/\{(\d)\}/)));
  return found;
}

/** A message: t`Add node`, t`${shown} of ${total} nodes`. */
export const t = (parts: TemplateStringsArray, ...values: Value[]): string =>
  pieces(parts).reduce((text, piece, at) => text + (at % 2 ? values[+piece] : piece));

/** A message that contains elements: its texts and values, in the order of the language. */
export const tElements = <T>(parts: TemplateStringsArray, ...values: (T | Value)[]): (T | Value)[] =>
  pieces(parts).map((piece, at) => (at % 2 ? (values[+piece] as T) : piece));

/** The word for this number: `pluralWord(2, "node")` is "nodes". */
export const pluralWord = (amount: number, one: string, many = `${one}s`): string =>
  (words[`${one}|${many}`] as Forms | undefined)?.[(rules ??= new Intl.PluralRules(words["{}"] as string)).select(amount)] ??
  (amount === 1 ? one : many);
