import type { ComponentChildren, VNode } from "preact";
import { passwordRules, strength } from "../../core/access/password";
import { t } from "../../core/text/i18n";
import { SecretField } from "../../ui/field";
import { Glyph } from "../../ui/glyph";

export interface NewPasswordEntries {
  password: string;
  repeat: string;
}

export const NO_PASSWORD: NewPasswordEntries = { password: "", repeat: "" };

const RULES = {
  long: t`At least 12 characters`,
  ownWords: t`Not the old one, and more than common words like “password”, “stardust” or your user name`,
  match: t`Both entries match`,
} as const;
const STRENGTHS = [t`none`, t`weak`, t`fair`, t`good`, t`strong`];
const NAMES = Object.keys(RULES) as (keyof typeof RULES)[];

/** The rules that are not met, in plain words; empty = the hub will probably accept it. */
export function unmet({ password, repeat }: NewPasswordEntries, username: string, current: string): string {
  const rules = passwordRules(password, repeat, username, current);
  const missing = NAMES.filter((name) => !rules[name]).map((name) => RULES[name]);
  return missing.length ? t`Not met yet: ${missing.join("; ")}.` : "";
}

interface Props {
  entries: NewPasswordEntries;
  onChange: (entries: NewPasswordEntries) => void;
  username: string;
  current: string;
  autofocus?: boolean;
}

/** A password, its repetition, and the rules with their state. */
export function NewPassword({ entries, onChange, username, current, autofocus = false }: Props): VNode {
  const { password, repeat } = entries;
  const rules = passwordRules(password, repeat, username, current);
  const score = strength(password);
  return (
    <>
      <div>
        <SecretField
          label={t`New password`}
          value={password}
          onText={(text) => onChange({ ...entries, password: text })}
          input={{ name: "new-password", autocomplete: "new-password", maxLength: 1024, required: true, autofocus }}
        />
        <div class={`strength ${score < 3 ? "weak" : ""}`} role="img" aria-label={t`Strength: ${STRENGTHS[score] ?? ""}`}>
          {[1, 2, 3, 4].map((step) => (
            <i key={step} class={score >= step ? "filled" : ""} />
          ))}
        </div>
      </div>
      <ul class="rules" aria-label={t`Password rules`}>
        {NAMES.map((name) => (
          <Rule key={name} met={rules[name]}>
            {RULES[name]}
          </Rule>
        ))}
      </ul>
      <SecretField
        label={t`Repeat password`}
        value={repeat}
        onText={(text) => onChange({ ...entries, repeat: text })}
        input={{ name: "repeat-password", autocomplete: "new-password", maxLength: 1024, required: true }}
      />
    </>
  );
}

function Rule({ met, children }: { met: boolean; children: ComponentChildren }): VNode {
  return (
    <li>
      <Glyph kind={met ? "done" : "wait"} label={met ? t`met` : t`not met yet`} />
      {children}
    </li>
  );
}
