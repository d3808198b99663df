/** What the page says, in the language of its catalogue. English stands in the code and needs none: a message that the catalogue has not is said as it is written. */

/** The forms of a word beside a number, by the names that `Intl.PluralRules` gives them. */
type Forms = Readonly<Record<string, string>>;

/** Message → its words in another language. A message is the English text with numbered places: `{0} of {1} nodes`. The language itself stands under `{}`, which no message is. */
export type Words = Readonly<Record<string, string | Forms>>;

type Value = string | number;

export function speaker(words: Words) {
  const said = (text: string): string => (words[text] ?? text) as string;
  /** By call: its text and places, looked up once. Odd ones are the numbers of places. */
  const known = new Map<TemplateStringsArray, readonly string[]>();
  const pieces = (parts: TemplateStringsArray): readonly string[] => {
    let found = known.get(parts);
    if (!found) {
      const key = parts.reduce((text, part, at) => `${text}{${at - 1}}${part}`);
      known.set(parts, (found = said(key).split(/\{(\d)\}/)));
    }
    return found;
  };
  const rules = new Intl.PluralRules((words["{}"] as string) || "en");
  /** A message with elements in it: what is drawn, in the order of the language. */
  const rich = <T>(parts: TemplateStringsArray, ...values: (T | Value)[]): (T | Value)[] => pieces(parts).map((piece, at) => (at % 2 ? (values[+piece] as T) : piece));
  return {
    rich,
    /** A name of the hub's that is read as words: of a metric, a unit, a column. The catalogue has those of its schema. */
    said,
    /** A message: t`Add node`, t`${shown} of ${total} nodes`. */
    t: (parts: TemplateStringsArray, ...values: Value[]): string => (values.length ? rich(parts, ...values).join("") : (pieces(parts)[0] as string)),
    /** What goes with this number: `form(2, "node")` is "nodes". */
    form: (amount: number, one: string, many = `${one}s`): string => (words[`${one}|${many}`] as Forms | undefined)?.[rules.select(amount)] ?? (amount === 1 ? one : many),
  };
}

/** A script ahead of the page's own leaves the catalogue there, so that tables of words may be made when a module is loaded. It has no prototype: `constructor` is a name like any other. */
export const { t, rich, form, said } = speaker((globalThis as { stardustWords?: Words }).stardustWords ?? ({ __proto__: null } as unknown as Words));
