/** When a list is read again, where all that is heard is that something about it has changed. Moments in milliseconds. */

/** What changes together is read together. */
const SETTLE_MS = 250;
/** However much a fleet tells. */
const LEAST_MS = 5000;
/** A node tells its numbers first, and what is behind them within a minute. */
const FOLLOWS_MS = 65_000;

export class RefetchSchedule {
  #last: number;
  #due = Infinity;
  #follows: number;

  /** It is read for the first time `now`. */
  constructor(now: number) {
    this.#last = now;
    this.#follows = now + FOLLOWS_MS;
  }

  /** Infinity = not before something is told. */
  get next(): number {
    return Math.min(this.#due, this.#follows);
  }

  told(now: number): void {
    this.#due = Math.min(this.#due, Math.max(now + SETTLE_MS, this.#last + LEAST_MS));
    this.#follows = now + FOLLOWS_MS;
  }

  read(now: number): void {
    this.#last = now;
    this.#due = Infinity;
    if (this.#follows <= now) this.#follows = Infinity;
  }
}
