/**
 * Between the link and a screen: slices that leave the page its time, one at a time; what waits is bounded.
 *
 * A screen that falls too far behind loses the oldest of what waits: it keeps some thousand lines only, and the whole output is a download.
 */

export const SLICE_BYTES = 65_536;
const MOST_WAITING = 8_000_000;
const KEPT = 1_000_000;

export interface ThrottleCallbacks {
  /** Shows bytes and calls back once they are shown. */
  write: (bytes: Uint8Array, done: () => void) => void;
  /** So many bytes were left out before what comes next. */
  skipped: (bytes: number) => void;
}

export class OutputThrottle {
  #waiting: Uint8Array[] = [];
  #length = 0;
  #busy = false;
  #held = false;

  constructor(readonly ends: ThrottleCallbacks) {}

  /** Bytes that are not shown yet. */
  get waiting(): number {
    return this.#length;
  }

  get held(): boolean {
    return this.#held;
  }

  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += SLICE_BYTES) this.#waiting.push(bytes.subarray(at, at + SLICE_BYTES));
    this.#length += bytes.length;
    if (this.#length > MOST_WAITING) this.#cut();
    this.#next();
  }

  /** Nothing is shown until `go`. */
  hold(): void {
    this.#held = true;
  }

  go(): void {
    this.#held = false;
    this.#next();
  }

  #cut(): void {
    let left = 0;
    while (this.#length > KEPT && this.#waiting.length > 1) {
      const gone = (this.#waiting.shift() as Uint8Array).length;
      this.#length -= gone;
      left += gone;
    }
    this.ends.skipped(left);
  }

  #next(): void {
    if (this.#busy || this.#held) return;
    const slice = this.#waiting.shift();
    if (!slice) return;
    this.#length -= slice.length;
    this.#busy = true;
    this.ends.write(slice, () => {
      this.#busy = false;
      this.#next();
    });
  }
}
