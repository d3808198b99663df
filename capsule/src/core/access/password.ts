/** The hub's rules for a new password. The hub checks them again. */

const MIN_LENGTH = 12;
const MAX_LENGTH = 1024;

const COMMON = ["password", "stardust", "groundcontrol", "ground control", "capsule", "spider", "majortom", "major tom", "admin"];

/** The words of the product and the user name in a password, if too little is left without them to stop a guesser. */
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
  return {
    long: password.length >= MIN_LENGTH && password.length <= MAX_LENGTH,
    ownWords: password !== "" && low !== current.toLowerCase() && low !== username.toLowerCase() && new Set(low).size > 4 && wordsThatDoNotCount(password, username).length === 0,
    match: password !== "" && password === repeat,
  };
}

/** 0 to 4, from length and variety. It is a hint, not a rule. */
export function strength(password: string): number {
  if (!password) return 0;
  const distinct = new Set(password).size;
  const points = Math.min(password.length, distinct * 2);
  return points >= 24 ? 4 : points >= 16 ? 3 : points >= 12 ? 2 : 1;
}
