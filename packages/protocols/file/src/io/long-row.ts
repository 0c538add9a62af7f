/** Requests that are shorter, on the average, are done at once sooner than elsewhere. */
const LONG_REQUEST = 256 * 1024
/** So many bytes in a row make a stream. */
const STREAM_BYTES = 4 * 1024 * 1024

/**
 * Tells streams of long requests, one behind the other, from everything else.
 *
 * @internal
 */
export class LongRow {
  readonly #gaps: boolean
  #end = 0
  #bytes = 0
  #requests = 0
  /** Bytes, in a row or not, until anything counts as a stream. */
  #pause = 0

  /** @param gaps - requests may leave something out, as long as they go up */
  constructor(gaps: boolean) {
    this.#gaps = gaps
  }

  /** Notes a request that is about to be made; true if it goes on with a stream. */
  continues(offset: number, bytes: number): boolean {
    // Metadata that is read or written now and then does not end a stream.
    if (offset !== this.#end && bytes < LONG_REQUEST) return false
    const follows = offset === this.#end || (this.#gaps && offset > this.#end)
    const isStream = follows && this.#pause <= 0 && this.#bytes >= Math.max(STREAM_BYTES, this.#requests * LONG_REQUEST)
    this.#pause -= bytes
    this.#bytes = follows ? this.#bytes + bytes : bytes
    this.#requests = follows ? this.#requests + 1 : 1
    this.#end = offset + bytes
    return isStream
  }

  /** What comes next is no stream until there is as much of it again, and `pause` bytes, in a row or not, have gone by. */
  forget(pause = 0): void {
    this.#pause = pause
    this.#bytes = 0
    this.#requests = 0
  }
}
