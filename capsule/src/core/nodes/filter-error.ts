/** The error text for an invalid part of the fleet's filter. */

import { LEVELS, numberNamed, NUMBERS, REBOOTS, splitToken, STATES, TEXTS } from "./filter";
import { t } from "../text";

const EXAMPLES: Record<string, string> = {
  tag: "web",
  state: "offline",
  health: "critical",
  finding: "filesystem",
  reboot: "yes",
  os: "debian",
  kernel: "6.1",
  location: "home",
  revision: "1a2b3c4d",
  patch: "none",
  agent: "1.2",
  address: "10.0.",
  note: "backup",
};

export function filterError(token: string): string {
  const bare = token.replace(/^-/, "");
  const [, word = bare, operator = "", want = ""] = splitToken(bare) ?? [];
  const key = word.toLowerCase();
  const name = numberNamed(key);
  const compared = NUMBERS.join(", ");
  if (name && operator === ":") return t`“${key}” needs a comparison: use ${name}>80`;
  if (name) return t`“${bare}” needs a number, as in ${name}>80`;
  if (operator !== ":" && operator !== "=") return t`“${word}” cannot be compared: use ${compared}`;
  if (!Object.hasOwn(EXAMPLES, key))
    return t`“${word}” is not a key, so “${bare}” is searched as text. Keys are tag, state, health, finding, reboot, ${TEXTS.join(", ")}, and ${compared} as in cpu>80.`;
  if (key === "state" && want.replace(/"/g, "")) return t`“${want}” is not a state: use ${STATES.join(", ")}`;
  if (key === "health" && want.replace(/"/g, "")) return t`“${want}” is not a level: use ${LEVELS.join(", ")}`;
  if (key === "reboot" && want.replace(/"/g, "")) return t`“${want}” is not an answer: use ${REBOOTS.join(", ")}`;
  return t`“${bare}” needs a value, as in ${key}:${EXAMPLES[key] as string}`;
}
