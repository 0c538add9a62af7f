import * as fs from 'node:fs'
import type { Aio } from '../native/aio.ts'
import { AioQueue } from './aio-queue.ts'
import { Lately } from './lately.ts'
import { LongRow } from './long-row.ts'
import { Retreat } from './retreat.ts'

interface Pending {
  readonly offset: number
  readonly from: Uint8Array
  readonly resolve: (result: Promise<void> | undefined) => void
}

const lately = new Lately()

/** True if a thread writes a stream, of whatever file, or did when the last few reads were made. @internal */
export function isWritingBehind(reading: number): boolean {
  return lately.is(reading)
}

/**
 * Appends streams to a file on a thread of the host's library, so that this one can read what comes next meanwhile. Whoever
 * waits for each write gains nothing by that, and is left alone.
 *
 * Writing takes longer than reading: this way round two processors have the same to do. Not so where holes inside a file are
 * filled, which is faster if they are allocated before, by the thread that writes.
 *
 * @internal
 */
export class WriteBehind {
  readonly #fd: number
  readonly #aio: Aio
  readonly #finish: (offset: number, from: Uint8Array, done: number) => Promise<void>
  readonly #row = new LongRow(true)
  readonly #retreat = new Retreat(this.#row)
  readonly #queue: AioQueue<Pending>
  /** Of the file, as far as is known. */
  #end = 0

  /** @param finish - writes what is left of a request after `done` bytes, or meets its error again and reports it */
  constructor(fd: number, aio: Aio, finish: (offset: number, from: Uint8Array, done: number) => Promise<void>) {
    this.#fd = fd
    this.#aio = aio
    this.#finish = finish
    this.#queue = new AioQueue(aio, { over: (request, bytes) => this.#over(request, bytes), idle: () => false })
  }

  /** `null`: write it in another way. */
  write(offset: number, from: Uint8Array): Promise<void> | null {
    if (!this.#row.continues(offset, from.length) || !this.#appends(offset + from.length)) return null
    const { promise, resolve } = Promise.withResolvers<void>()
    const request: Pending = { offset, from, resolve: resolve as Pending['resolve'] }
    if (!this.#queue.give(request, (block) => this.#aio.write(block, this.#fd, from, offset))) return null
    lately.began()
    lately.given()
    return promise
  }

  #appends(end: number): boolean {
    if (end <= this.#end) return false
    try {
      // It may have grown by other means.
      this.#end = Math.max(this.#end, fs.fstatSync(this.#fd).size)
    } catch {
      // The write itself will meet that, and report it.
      return false
    }
    if (end <= this.#end) return false
    this.#end = end
    return true
  }

  #over({ offset, from, resolve }: Pending, bytes: number): void {
    lately.ended()
    this.#retreat.ended(this.#queue.length === 0 && lately.others === 0)
    resolve(bytes === from.length ? undefined : this.#finish(offset, from, Math.max(0, bytes)))
  }
}
