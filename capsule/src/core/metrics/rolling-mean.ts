/** The means of the newest intervals, in constant memory: a large fleet needs thousands of these objects. `stretch` is an interval in seconds. */
export class RollingMean {
  readonly #sums: Float64Array;
  readonly #counts: Uint32Array;
  #newest = -Infinity;

  constructor(
    readonly slots: number,
    readonly stretch: number,
  ) {
    this.#sums = new Float64Array(slots);
    this.#counts = new Uint32Array(slots);
  }

  /** Adds a value, unless it is older than the oldest interval. */
  add(at: number, value: number): void {
    const slot = this.#slotOf(at);
    if (slot < 0) return;
    this.#sums[slot] = (this.#sums[slot] as number) + value;
    this.#counts[slot] = (this.#counts[slot] as number) + 1;
  }

  /** Whether the interval of `at` has a value. */
  has(at: number): boolean {
    const stretch = Math.floor(at / this.stretch);
    return stretch <= this.#newest && stretch > this.#newest - this.slots && (this.#counts[modulo(stretch, this.slots)] as number) > 0;
  }

  /** The means of all intervals up to the interval of `at`, the newest last; null = no values. */
  until(at: number): (number | null)[] {
    const newest = Math.floor(at / this.stretch);
    return Array.from({ length: this.slots }, (_, index) => {
      const stretch = newest - this.slots + 1 + index;
      if (!this.has(stretch * this.stretch)) return null;
      const slot = modulo(stretch, this.slots);
      return (this.#sums[slot] as number) / (this.#counts[slot] as number);
    });
  }

  /** The slot of an interval, cleared if the interval is new; -1 = too old. */
  #slotOf(at: number): number {
    const stretch = Math.floor(at / this.stretch);
    if (stretch <= this.#newest - this.slots) return -1;
    for (let free = Math.max(this.#newest + 1, stretch - this.slots + 1); free <= stretch; free += 1) {
      const slot = modulo(free, this.slots);
      this.#sums[slot] = 0;
      this.#counts[slot] = 0;
    }
    if (stretch > this.#newest) this.#newest = stretch;
    return modulo(stretch, this.slots);
  }
}

const modulo = (value: number, by: number): number => ((value % by) + by) % by;
