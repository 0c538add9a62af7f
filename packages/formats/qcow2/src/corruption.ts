import { BlockError } from '@blockloom/block-driver'

/** `%#x` of C. @internal */
export function hex(value: number): string {
  return value === 0 ? '0' : `0x${value.toString(16)}`
}

/**
 * What happens when the image contradicts itself while it is open.
 *
 * The request fails with EIO. If the image is open for writing it is marked corrupt in its header (version 3), so that
 * nobody writes to it before it is repaired, and all later changes through this instance are refused.
 *
 * @internal
 */
export class Corruption {
  /** The first problem found, which refuses further writes; null while there is none. */
  first: BlockError | null = null
  /** Sets the corrupt bit; null if the image is read-only. */
  readonly #mark: (() => Promise<void>) | null
  readonly #warn: (message: string) => void
  #marking: Promise<void> | undefined

  constructor(mark: (() => Promise<void>) | null, warn: (message: string) => void) {
    this.#mark = mark
    this.#warn = warn
  }

  /** Records a problem and returns the error to throw. `message` is in the reference's words. */
  found(message: string): BlockError {
    const text =
      this.#mark === null
        ? `Image is corrupt: ${message}; further non-fatal corruption events will be suppressed`
        : `Marking image as corrupt: ${message}; further corruption events will be suppressed`
    const error = new BlockError('corrupt', text, { errno: 'EIO' })
    if (this.first === null) {
      this.first = error
      this.#warn(text)
      if (this.#mark !== null) this.#marking = this.#mark().catch((cause: unknown) => this.#warn(`Could not mark the image as corrupt: ${String(cause)}`))
    }
    return error
  }

  /** Resolves when the header says what was found. */
  async settled(): Promise<void> {
    await this.#marking
  }

  /** @throws the first problem, if the image may not be changed any more */
  assertWritable(): void {
    if (this.first !== null) throw this.first
  }
}
