import type { VNode } from "preact";
import { t } from "../core/text/i18n";
import { TextField } from "./field";

/** Type the name of what is to go; the button that acts stays closed until it matches. */
export function ConfirmName({ name, value, onText }: { name: string; value: string; onText: (text: string) => void }): VNode {
  return <TextField label={t`Type ${name} to confirm`} value={value} onText={onText} input={{ autocomplete: "off", spellcheck: false, "aria-required": true }} />;
}
