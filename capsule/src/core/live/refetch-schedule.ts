/** Decides when to read a list again, when only the fact of a change is known. Times are in milliseconds. */

/** Changes close together cause one read. */
const SETTLE_MS = 250;
/** The minimum interval, however often the fleet changes. */
const MIN_INTERVAL_MS = 5000;
/** A node sends counts first, and the details within a minute. */
const DETAILS_MS = 65_000;

export class RefetchSchedule {
  #last: number;
  #due = Infinity;
  #follows: number;

  /** The first read is at `now`. */
  constructor(now: number) {
    this.#last = now;
    this.#follows = now + DETAILS_MS;
  }

  /** Infinity = not before a change. */
  get next(): number {
    return Math.min(this.#due, this.#follows);
  }

  noteChange(now: number): void {
    this.#due = Math.min(this.#due, Math.max(now + SETTLE_MS, this.#last + MIN_INTERVAL_MS));
    this.#follows = now + DETAILS_MS;
  }

  read(now: number): void {
    this.#last = now;
    this.#due = Infinity;
    if (this.#follows <= now) this.#follows = Infinity;
  }
}
