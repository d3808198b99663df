/** What becomes of a live topic that the hub refuses: some refusals are its last word, after all others it is asked again. */

import { backoff, LONGEST_S } from "./backoff";

/** There is nothing to follow, or it is not to be followed by this account. */
const LAST_WORDS: Readonly<Record<string, number>> = { not_found: 404, "auth.forbidden": 403 };
const PASSING = 503;

/** As REST would have answered. */
export const refusalStatus = (code: string): number => (isFinalRefusal(code) ? (LAST_WORDS[code] as number) : PASSING);
export const isFinalRefusal = (code: string): boolean => Object.hasOwn(LAST_WORDS, code);

/** How long to wait after each refusal. A topic that was followed for a good while in between begins anew; one that is given and taken at once does not. */
export class TopicRetry {
  #attempt = 0;
  #at = -Infinity;

  /** Seconds; `at` is when it was refused, `random` in [0, 1). */
  next(at: number, random: number): number {
    if (at - this.#at > 2 * LONGEST_S) this.#attempt = 0;
    this.#at = at;
    const wait = backoff(this.#attempt, random);
    this.#attempt += 1;
    return wait;
  }
}
