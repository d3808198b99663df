/** The rules of a new password as the hub holds them (its word is the last). */

export const SHORTEST = 12;
export const LONGEST = 1024;

export interface PasswordRules {
  long: boolean;
  ownWords: boolean;
  match: boolean;
}

export function passwordRules(password: string, repeat: string, username: string, current: string): PasswordRules {
  const low = password.toLowerCase();
  return {
    long: password.length >= SHORTEST && password.length <= LONGEST,
    ownWords: password !== "" && low !== current.toLowerCase() && low !== username.toLowerCase() && !/^(admin|password|stardust)+\d*$/.test(low),
    match: password !== "" && password === repeat,
  };
}

/** 0–4: length and variety; a hint, never a rule. */
export function strength(password: string): number {
  if (!password) return 0;
  const distinct = new Set(password).size;
  const points = Math.min(password.length, distinct * 2);
  return points >= 24 ? 4 : points >= 16 ? 3 : points >= 12 ? 2 : 1;
}
