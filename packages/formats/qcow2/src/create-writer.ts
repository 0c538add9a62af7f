import type { ChildHandle } from '@blockloom/block-driver'

/** Bytes that are gathered before they are written. */
const BATCH_BYTES = 1024 * 1024

/** Writes tables in the order they come, joining those that lie behind each other. @internal */
export class BatchWriter {
  readonly #file: ChildHandle
  #parts: Uint8Array[] = []
  #start = 0
  #length = 0

  constructor(file: ChildHandle) {
    this.#file = file
  }

  /** `bytes` must stay unchanged until {@link BatchWriter.finish} or the next write elsewhere. */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    if (this.#length > 0 && (offset !== this.#start + this.#length || this.#length >= BATCH_BYTES)) await this.finish()
    if (this.#length === 0) this.#start = offset
    this.#parts.push(bytes)
    this.#length += bytes.length
  }

  /** Writes what is left. */
  async finish(): Promise<void> {
    const parts = this.#parts
    const joined = parts.length === 1 ? parts[0]! : new Uint8Array(this.#length)
    if (parts.length > 1) {
      let at = 0
      for (const part of parts) {
        joined.set(part, at)
        at += part.length
      }
    }
    this.#parts = []
    this.#length = 0
    if (joined.length > 0) await this.#file.write(this.#start, joined)
  }
}
