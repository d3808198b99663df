import type { ComponentChildren } from "preact";
import { passwordRules, strength, wordsThatDoNotCount } from "../../core/access/password";
import { t } from "../../core/text";
import { Glyph, SecretField } from "../../ui";

export interface NewPasswordEntries {
  password: string;
  repeat: string;
}

export const NO_PASSWORD: NewPasswordEntries = { password: "", repeat: "" };

const RULES = {
  long: t`At least 12 characters`,
  ownWords: t`Not the old one, and not easy to guess`,
  match: t`Both entries match`,
} as const;
const STRENGTHS = [t`none`, t`weak`, t`fair`, t`good`, t`strong`];
const NAMES = Object.keys(RULES) as (keyof typeof RULES)[];

/** A text about the rules that are not met; empty = the hub will probably accept the password. */
export function unmet({ password, repeat }: NewPasswordEntries, username: string, current: string): string {
  const rules = passwordRules(password, repeat, username, current);
  const missing = NAMES.filter((name) => !rules[name]);
  if (!missing.length) return "";
  if (password && missing.length === 1 && missing[0] === "ownWords") return guessable(password, username);
  return t`Not met yet: ${missing.map((name) => RULES[name]).join("; ")}.`;
}

/** Says why a password is easy to guess, with the words that do not count. */
function guessable(password: string, username: string): string {
  const words = wordsThatDoNotCount(password, username).map((word) => `“${word}”`);
  return words.length
    ? t`Too easy to guess: ${words.join(", ")} ${words.length > 1 ? t`do not count` : t`does not count`}. Add another word.`
    : t`Too easy to guess. Use words other than your user name, “password” or “stardust”.`;
}

interface Props {
  entries: NewPasswordEntries;
  onChange: (entries: NewPasswordEntries) => void;
  username: string;
  current: string;
  autofocus?: boolean;
}

/** Fields for a new password and its repetition, and the rules with their state. */
export function NewPassword({ entries, onChange, username, current, autofocus = false }: Props) {
  const { password, repeat } = entries;
  const rules = passwordRules(password, repeat, username, current);
  const refused = password !== "" && !(rules.long && rules.ownWords);
  const score = refused ? 1 : strength(password);
  return (
    <>
      <div>
        <SecretField
          label={t`New password`}
          value={password}
          onText={(text) => onChange({ ...entries, password: text })}
          input={{ name: "new-password", autocomplete: "new-password", maxLength: 1024, required: true, autofocus }}
        />
        <div
          class={`strength ${refused ? "refused" : score < 3 ? "weak" : ""}`}
          role="img"
          aria-label={t`Strength: ${STRENGTHS[score] ?? ""}`}
        >
          {[1, 2, 3, 4].map((step) => (
            <i key={step} class={score >= step ? "filled" : ""} />
          ))}
        </div>
      </div>
      <ul class="rules" aria-label={t`Password rules`}>
        {NAMES.map((name) => (
          <Rule key={name} met={rules[name]}>
            {name === "ownWords" && rules.long && !rules.ownWords ? guessable(password, username) : RULES[name]}
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

function Rule({ met, children }: { met: boolean; children: ComponentChildren }) {
  return (
    <li>
      <Glyph kind={met ? "done" : "wait"} label={met ? t`met` : t`not met yet`} />
      {children}
    </li>
  );
}
