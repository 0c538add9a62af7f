/** Shorter buffers are cheap to make. */
const LEAST = 64 * 1024
/** Bytes that are kept for later. */
const MOST_KEPT = 16 * 1024 * 1024

/**
 * Buffers for encrypted copies of what is written, used again and again: to have new ones collected costs more than to
 * fill them.
 *
 * @internal
 */
export class ScratchBuffers {
  /** By length, which is a power of two. */
  readonly #free = new Map<number, Uint8Array[]>()
  #kept = 0

  /** Lends a buffer of `bytes` bytes to `use`, which may keep it until its promise settles. What is in it is left over. */
  async lend<T>(bytes: number, use: (buffer: Uint8Array) => Promise<T>): Promise<T> {
    if (bytes < LEAST || bytes > MOST_KEPT) return use(new Uint8Array(bytes))
    const length = 2 ** Math.ceil(Math.log2(bytes))
    const free = this.#free.get(length)?.pop()
    if (free !== undefined) this.#kept -= length
    const buffer = free ?? new Uint8Array(length)
    try {
      return await use(buffer.subarray(0, bytes))
    } finally {
      this.#give(buffer)
    }
  }

  #give(buffer: Uint8Array): void {
    if (this.#kept + buffer.length > MOST_KEPT) return
    this.#kept += buffer.length
    const free = this.#free.get(buffer.length)
    if (free === undefined) this.#free.set(buffer.length, [buffer])
    else free.push(buffer)
  }
}
