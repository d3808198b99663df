/** Means of the newest intervals in constant memory: a large fleet has thousands of these. */
export class RollingMean {
  readonly #sums: Float64Array;
  readonly #counts: Uint32Array;
  #newest = -Infinity;

  constructor(
    readonly places: number,
    readonly stretch: number,
  ) {
    this.#sums = new Float64Array(places);
    this.#counts = new Uint32Array(places);
  }

  /** Ignores values older than the oldest interval. */
  add(at: number, value: number): void {
    const place = this.#positionOf(at);
    if (place < 0) return;
    this.#sums[place] = (this.#sums[place] as number) + value;
    this.#counts[place] = (this.#counts[place] as number) + 1;
  }

  has(at: number): boolean {
    const stretch = Math.floor(at / this.stretch);
    return stretch <= this.#newest && stretch > this.#newest - this.places && (this.#counts[modulo(stretch, this.places)] as number) > 0;
  }

  /** One mean for each interval up to the one of `at`, the newest last; null = no values. */
  until(at: number): (number | null)[] {
    const newest = Math.floor(at / this.stretch);
    return Array.from({ length: this.places }, (_, index) => {
      const stretch = newest - this.places + 1 + index;
      if (!this.has(stretch * this.stretch)) return null;
      const place = modulo(stretch, this.places);
      return (this.#sums[place] as number) / (this.#counts[place] as number);
    });
  }

  /** The slot of an interval, cleared if the interval is new; -1 = too old. */
  #positionOf(at: number): number {
    const stretch = Math.floor(at / this.stretch);
    if (stretch <= this.#newest - this.places) return -1;
    for (let free = Math.max(this.#newest + 1, stretch - this.places + 1); free <= stretch; free += 1) {
      const place = modulo(free, this.places);
      this.#sums[place] = 0;
      this.#counts[place] = 0;
    }
    if (stretch > this.#newest) this.#newest = stretch;
    return modulo(stretch, this.places);
  }
}

const modulo = (value: number, by: number): number => ((value % by) + by) % by;
