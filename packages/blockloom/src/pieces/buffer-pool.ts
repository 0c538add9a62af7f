import { alignedBuffer } from './aligned-buffer.ts'

/** Buffers of one size, used again: new ones would have to be filled with zeroes first. @internal */
export class BufferPool {
  readonly #bytes: number
  readonly #free: Uint8Array[] = []

  constructor(bytes: number) {
    this.#bytes = bytes
  }

  /** A buffer, its first `bytes`. */
  take(bytes: number): Uint8Array {
    const buffer = this.#free.pop() ?? alignedBuffer(this.#bytes)
    return bytes === buffer.length ? buffer : buffer.subarray(0, bytes)
  }

  /** Nothing uses the buffer any more. */
  give(buffer: Uint8Array): void {
    this.#free.push(new Uint8Array(buffer.buffer, buffer.byteOffset, this.#bytes))
  }
}
