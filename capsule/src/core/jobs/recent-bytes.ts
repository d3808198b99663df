/** The newest chunks of output, at most `limit` bytes. */
export class RecentBytes {
  #chunks: Uint8Array[] = [];
  #length = 0;

  constructor(readonly limit: number) {}

  /** Adds a chunk. Returns the number of bytes of the oldest chunks, which were dropped for it. */
  push(chunk: Uint8Array): number {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    const before = this.#length;
    while (this.#length > this.limit) this.#length -= this.#chunks.shift()?.length ?? 0;
    return before - this.#length;
  }

  /** Returns all chunks in order and removes them. */
  take(): Uint8Array[] {
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#length = 0;
    return chunks;
  }
}
