import { translate } from "./i18n";
import type { CodedTextView } from "../../wire/schema.gen";

/** The sentence in the language of the page; the agent's text if the hub has no template for it. */
export const codedText = (text: string, coded: CodedTextView | null | undefined): string =>
  coded ? translate(coded.template).replaceAll(/\{(\w+)\}/g, (place, name: string) => coded.facts[name] ?? place) : text;
