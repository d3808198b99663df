/** Decides when to read a list again if the hub reports only that it changed. Times are in milliseconds. */

/** The list is read this long after a change, so that changes close together cause one read. */
const SETTLE_MS = 250;
/** The minimum interval, however often the fleet changes. */
const MIN_INTERVAL_MS = 5000;
/** The list is read once more this long after the last change: a node sends counts first, and the details within a minute. */
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

  /** The time of the next read; Infinity = none before another change. */
  get next(): number {
    return Math.min(this.#due, this.#follows);
  }

  noteChange(now: number): void {
    this.#due = Math.min(this.#due, Math.max(now + SETTLE_MS, this.#last + MIN_INTERVAL_MS));
    this.#follows = now + DETAILS_MS;
  }

  /** Call this when a read starts. */
  read(now: number): void {
    this.#last = now;
    this.#due = Infinity;
    if (this.#follows <= now) this.#follows = Infinity;
  }
}
