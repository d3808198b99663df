import { translate } from "./i18n";

/** A sentence with its English template, as the hub read it from the text of an agent. */
export interface CodedText {
  code: string;
  template: string;
  facts: Readonly<Record<string, string>>;
}

/** The sentence in the language of the page; the text as it came where the hub has no template for it. */
export const codedText = (text: string, coded: CodedText | null | undefined): string =>
  coded ? translate(coded.template).replaceAll(/\{(\w+)\}/g, (place, name: string) => coded.facts[name] ?? place) : text;
