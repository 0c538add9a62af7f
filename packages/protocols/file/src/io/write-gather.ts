import { DONE } from '@blockloom/block-driver'
import { LongRow } from './long-row.ts'

/** What is written at once: as much as makes the way to another thread and back not matter. */
const BATCH_BYTES = 4 * 1024 * 1024
/** Turns of the event loop that a batch waits for more. */
const PATIENCE = 2

/** One write of a batch. */
interface Gathered {
  readonly from: Uint8Array
  readonly resolve: (result: Promise<void>) => void
}

/** How a batch is written. @internal */
export interface BatchWriter {
  /** In this turn; the promise that says how it ended. */
  now(offset: number, from: Uint8Array): Promise<void>
  /** On another thread, in one piece. */
  batch(offset: number, buffers: readonly Uint8Array[]): Promise<void>
  /** On another thread. */
  single(offset: number, from: Uint8Array): Promise<void>
}

/**
 * Gathers long writes that follow each other and makes them together on another thread, so that this one can read
 * meanwhile: that pays for a stream of them, several in flight, and for nothing else.
 *
 * @internal
 */
export class WriteGather {
  readonly #writer: BatchWriter
  readonly #row = new LongRow(false)
  #offset = 0
  #bytes = 0
  #batch: Gathered[] = []
  #patience = 0
  /** Batches that are being written. */
  #underWay = 0
  #watched = false

  constructor(writer: BatchWriter) {
    this.#writer = writer
  }

  /** Notes a write that is about to be made; true if it goes on with a stream, and should be added. */
  continues(offset: number, bytes: number): boolean {
    return this.#row.continues(offset, bytes)
  }

  /** Writes together with those that follow. */
  add(offset: number, from: Uint8Array): Promise<void> {
    // A write of the stream may have been made elsewhere; a batch has no gaps.
    if (this.#batch.length > 0 && offset !== this.#offset + this.#bytes) this.#submit()
    const { promise, resolve } = Promise.withResolvers<void>()
    if (this.#batch.length === 0) this.#offset = offset
    this.#batch.push({ from, resolve })
    this.#bytes += from.length
    this.#goOn()
    return promise
  }

  /** Nothing is lost by waiting for more while the batch before is being written. */
  #goOn(): void {
    if (this.#underWay > 0 || this.#batch.length === 0) return
    this.#patience = PATIENCE
    if (this.#bytes >= BATCH_BYTES) this.#submit()
    else this.#watch()
  }

  #watch(): void {
    if (this.#watched) return
    this.#watched = true
    setImmediate(() => {
      this.#watched = false
      if (this.#underWay > 0 || this.#batch.length === 0) return
      if (this.#patience-- > 0) this.#watch()
      else this.#submit()
    })
  }

  #submit(): void {
    const batch = this.#batch
    const offset = this.#offset
    this.#batch = []
    this.#bytes = 0
    if (batch.length === 1 && this.#underWay === 0) {
      // Whoever writes waits for each: nothing is gained.
      this.#row.forget()
      batch[0]!.resolve(this.#writer.now(offset, batch[0]!.from))
      return
    }
    this.#underWay++
    const written = this.#writer.batch(
      offset,
      batch.map(({ from }) => from),
    )
    written.then(
      () => {
        this.#underWay--
        for (const { resolve } of batch) resolve(DONE)
        this.#goOn()
      },
      () => {
        this.#underWay--
        this.#singly(offset, batch)
        this.#goOn()
      },
    )
  }

  /** Each has an error of its own, or none. */
  #singly(offset: number, batch: readonly Gathered[]): void {
    let at = offset
    for (const { from, resolve } of batch) {
      resolve(this.#writer.single(at, from))
      at += from.length
    }
  }
}
