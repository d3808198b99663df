/**
 * Passes output from the socket to a screen, one slice after the other, so that the page stays responsive.
 *
 * The queue is bounded: if the screen falls too far behind, the oldest queued output is skipped. The whole output can be downloaded.
 */

export const SLICE_BYTES = 65_536;
const MAX_QUEUED_BYTES = 8_000_000;
const MAX_WAITING_BYTES = 1_000_000;

export interface ThrottleCallbacks {
  /** Shows bytes and calls `done` after that. */
  write: (bytes: Uint8Array, done: () => void) => void;
  /** This many bytes were skipped before the next slice. */
  skipped: (bytes: number) => void;
}

export class OutputThrottle {
  #waiting: Uint8Array[] = [];
  #length = 0;
  #busy = false;
  #held = false;

  constructor(readonly ends: ThrottleCallbacks) {}

  /** Bytes in the queue. */
  get waiting(): number {
    return this.#length;
  }

  get held(): boolean {
    return this.#held;
  }

  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += SLICE_BYTES) this.#waiting.push(bytes.subarray(at, at + SLICE_BYTES));
    this.#length += bytes.length;
    if (this.#length > MAX_QUEUED_BYTES) this.#cut();
    this.#next();
  }

  /** Shows nothing until `go`. */
  hold(): void {
    this.#held = true;
  }

  go(): void {
    this.#held = false;
    this.#next();
  }

  #cut(): void {
    let skipped = 0;
    while (this.#length > MAX_WAITING_BYTES && this.#waiting.length > 1) {
      const size = (this.#waiting.shift() as Uint8Array).length;
      this.#length -= size;
      skipped += size;
    }
    this.ends.skipped(skipped);
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
