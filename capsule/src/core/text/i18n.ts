/** Messages in the language of the catalogue. English is in the sources and needs none: a message without a translation is shown in English. */

/** The forms of a word beside a number, by the names of `Intl.PluralRules`. */
type Forms = Readonly<Record<string, string>>;

/**
 * Message → its translation. A message is the English text with numbered placeholders: `{0} of {1} nodes`. The key `{}`, which is no message,
 * has the language.
 */
export type Catalogue = Readonly<Record<string, string | Forms>>;

type Value = string | number;

/**
 * A script before the page's own sets the catalogue, so that modules can build tables of labels when they load. It has no prototype:
 * `constructor` is an ordinary key.
 */
const words: Catalogue = (globalThis as { stardustWords?: Catalogue }).stardustWords ?? ({ __proto__: null } as unknown as Catalogue);
let rules: Intl.PluralRules | undefined;
/** By call: text and placeholders, looked up once. Odd elements are placeholder numbers. */
const known = new Map<TemplateStringsArray, readonly string[]>();

/** The translation of one of the hub's names: a metric, a unit, a column. The catalogue has those of the schema. */
export const translate = (text: string): string => (words[text] ?? text) as string;

function pieces(parts: TemplateStringsArray): readonly string[] {
  let found = known.get(parts);
  if (!found) known.set(parts, (found = translate(parts.reduce((text, part, at) => `${text}{${at - 1}}${part}`)).split(/\{(\d)\}/)));
  return found;
}

/** A message: t`Add node`, t`${shown} of ${total} nodes`. */
export const t = (parts: TemplateStringsArray, ...values: Value[]): string => pieces(parts).reduce((text, piece, at) => text + (at % 2 ? values[+piece] : piece));

/** A message with elements in it, in the order of the language. */
export const tElements = <T>(parts: TemplateStringsArray, ...values: (T | Value)[]): (T | Value)[] => pieces(parts).map((piece, at) => (at % 2 ? (values[+piece] as T) : piece));

/** The word for this number: `pluralWord(2, "node")` is "nodes". */
export const pluralWord = (amount: number, one: string, many = `${one}s`): string =>
  (words[`${one}|${many}`] as Forms | undefined)?.[(rules ??= new Intl.PluralRules(words["{}"] as string)).select(amount)] ?? (amount === 1 ? one : many);
