/**
 * A list that is read page by page and can change while it is shown.
 *
 * Requests run one at a time, in order. A refresh reads as many items as are shown. An error of a request goes to `failed`.
 */

export interface Page<T> {
  items: readonly T[];
  /** The cursor of the next page; null = there is none. */
  next: string | null;
}

export class PagedList<T, P extends Page<T>> {
  #shown: P | null = null;
  #last: Promise<unknown> = Promise.resolve();
  /** Whether a refresh, or a read of the next page, waits for its turn. */
  #rereads = false;
  #grows = false;
  #closed = false;
  #changes = 0;
  #pages = 0;

  constructor(
    readonly read: (cursor?: string) => Promise<P>,
    readonly key: (item: T) => string,
    /** Called with all loaded items and the other fields of the newest page. */
    readonly show: (all: P) => void,
    readonly failed: (error: unknown) => void,
    /** The number of pages of the first read. */
    readonly first = 1,
  ) {}

  /** The number of pages that are shown. */
  get pages(): number {
    return this.#pages;
  }

  /** Reads the list again from its beginning, as far as it is shown. Does nothing while another refresh waits for its turn. */
  refresh(): Promise<void> {
    if (this.#rereads) return this.#nothing();
    this.#rereads = true;
    return this.#inTurn(async () => {
      this.#rereads = false;
      const wanted = this.#shown?.items.length ?? 0;
      const least = this.#shown ? 1 : this.first;
      let all: P;
      let pages: number;
      let changes: number;
      do {
        changes = this.#changes; // an answer read before a change may lack that change
        all = await this.read();
        for (pages = 1; all.next !== null && (all.items.length < wanted || pages < least) && !this.#closed; pages += 1)
          all = this.#joined(all, await this.read(all.next));
      } while (changes !== this.#changes && !this.#closed);
      this.#pages = pages;
      this.#take(all);
    });
  }

  /** Reads the next page. Does nothing if there is none, or while another call waits for its turn. */
  more(): Promise<void> {
    if (this.#grows || !this.#shown?.next) return this.#nothing();
    this.#grows = true;
    return this.#inTurn(async () => {
      this.#grows = false;
      if (!this.#shown?.next) return;
      const page = await this.read(this.#shown.next);
      this.#pages += 1;
      this.#take(this.#joined(this.#shown, page));
    });
  }

  /** Changes the shown items without a request. */
  change(change: (items: readonly T[]) => readonly T[]): void {
    this.#changes += 1;
    if (this.#shown) this.#take({ ...this.#shown, items: change(this.#shown.items) });
  }

  close(): void {
    this.#closed = true;
  }

  async #nothing(): Promise<void> {}

  /** Appends a page, with each item once: an item may have moved to a later page between two requests. */
  #joined(before: P, page: P): P {
    const known = new Set(before.items.map(this.key));
    return { ...page, items: [...before.items, ...page.items.filter((item) => !known.has(this.key(item)))] };
  }

  #take(all: P): void {
    if (this.#closed) return;
    this.#shown = all;
    this.show(all);
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(async () => {
      if (this.#closed) return;
      try {
        await work();
      } catch (error) {
        if (!this.#closed) this.failed(error);
      }
    });
    this.#last = done.catch(() => undefined); // an error that `failed` raises goes to the caller, not to the next request
    return done;
  }
}
