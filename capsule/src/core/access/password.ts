/** The hub's rules for a new password. The hub checks them again. */

const MIN_LENGTH = 12;
const MAX_LENGTH = 1024;

const COMMON = ["password", "stardust", "groundcontrol", "ground control", "capsule", "spider", "majortom", "major tom", "admin"];

/** The product's words and the user name, as found in a password; none if at least four letters are left without them. */
export function wordsThatDoNotCount(password: string, username: string): string[] {
  let rest = password.toLowerCase();
  const found: string[] = [];
  for (const word of [username.toLowerCase(), ...COMMON].sort((a, b) => b.length - a.length)) {
    if (word.length <= 2 || !rest.includes(word)) continue;
    rest = rest.replaceAll(word, "");
    found.push(word);
  }
  return rest.replace(/[^\p{L}]/gu, "").length < 4 ? found : [];
}

export interface PasswordRules {
  long: boolean;
  ownWords: boolean;
  match: boolean;
}

export function passwordRules(password: string, repeat: string, username: string, current: string): PasswordRules {
  const low = password.toLowerCase();
  const { length } = [...password]; // characters, as the hub counts
  return {
    long: length >= MIN_LENGTH && length <= MAX_LENGTH,
    ownWords:
      password !== "" &&
      low !== current.toLowerCase() &&
      low !== username.toLowerCase() &&
      new Set(low).size > 4 &&
      wordsThatDoNotCount(password, username).length === 0,
    match: password !== "" && password === repeat,
  };
}

/** A hint from 0 to 4 for the user, from length and variety. The hub does not check it. */
export function strength(password: string): number {
  if (!password) return 0;
  const distinct = new Set(password).size;
  const points = Math.min(password.length, distinct * 2);
  return points >= 24 ? 4 : points >= 16 ? 3 : points >= 12 ? 2 : 1;
}
