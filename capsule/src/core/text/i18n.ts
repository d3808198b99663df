/** What the page says, in the language of its catalogue. English stands in the code and needs none: a message that the catalogue has not is said as it is written. */

/** The forms of a word beside a number, by the names that `Intl.PluralRules` gives them. */
type Forms = Readonly<Record<string, string>>;

/** Message → its words in another language. A message is the English text with numbered places: `{0} of {1} nodes`. The language itself stands under `{}`, which no message is. */
export type Catalogue = Readonly<Record<string, string | Forms>>;

type Value = string | number;

/** A script ahead of the page's own leaves the catalogue there, so that tables of words may be made when a module is loaded. It has no prototype: `constructor` is a name like any other. */
const words: Catalogue = (globalThis as { stardustWords?: Catalogue }).stardustWords ?? ({ __proto__: null } as unknown as Catalogue);
let rules: Intl.PluralRules | undefined;
/** By call: its text and places, looked up once. Odd ones are the numbers of places. */
const known = new Map<TemplateStringsArray, readonly string[]>();

/** A name of the hub's that is read as words: of a metric, a unit, a column. The catalogue has those of its schema. */
export const translate = (text: string): string => (words[text] ?? text) as string;

function pieces(parts: TemplateStringsArray): readonly string[] {
  let found = known.get(parts);
  if (!found) known.set(parts, (found = translate(parts.reduce((text, part, at) => `${text}{${at - 1}}${part}`)).split(/\{(\d)\}/)));
  return found;
}

/** A message: t`Add node`, t`${shown} of ${total} nodes`. */
export const t = (parts: TemplateStringsArray, ...values: Value[]): string => pieces(parts).reduce((text, piece, at) => text + (at % 2 ? values[+piece] : piece));

/** A message with elements in it: what is drawn, in the order of the language. */
export const tElements = <T>(parts: TemplateStringsArray, ...values: (T | Value)[]): (T | Value)[] => pieces(parts).map((piece, at) => (at % 2 ? (values[+piece] as T) : piece));

/** What goes with this number: `form(2, "node")` is "nodes". */
export const pluralWord = (amount: number, one: string, many = `${one}s`): string =>
  (words[`${one}|${many}`] as Forms | undefined)?.[(rules ??= new Intl.PluralRules(words["{}"] as string)).select(amount)] ?? (amount === 1 ? one : many);
