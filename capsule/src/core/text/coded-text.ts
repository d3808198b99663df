import { translate } from "./i18n";

/** The English template of an agent's sentence, with the values of its placeholders. The hub finds both. */
export interface CodedText {
  code: string;
  template: string;
  facts: Readonly<Record<string, string>>;
}

/** The sentence in the language of the page; the agent's text if the hub has no template for it. */
export const codedText = (text: string, coded: CodedText | null | undefined): string =>
  coded ? translate(coded.template).replaceAll(/\{(\w+)\}/g, (place, name: string) => coded.facts[name] ?? place) : text;
