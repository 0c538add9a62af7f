import type { Libc } from '../native/libc.ts'
import type { Aio } from '../native/aio.ts'
import { AioQueue } from './aio-queue.ts'
import { Lately } from './lately.ts'
import { LongRow } from './long-row.ts'
import { Retreat } from './retreat.ts'
import { readFully } from './threads.ts'

/** One read of so many is looked up in the page cache before. */
const LOOK_EVERY = 8

/** Requests that the thread has, at most: one that it works on, and what it goes on with. */
const GIVEN = 3

interface Pending {
  readonly offset: number
  readonly into: Uint8Array
  readonly resolve: (result: Promise<void> | undefined) => void
}

const lately = new Lately()

/** True if a thread reads a stream, of whatever file, or did when the last few writes were made. @internal */
export function isReadingAhead(writing: number): boolean {
  return lately.is(writing)
}

/**
 * Reads streams of what is in the page cache on a thread of the host's library, so that this one can work on what has
 * been read, or write it, meanwhile. Whoever asks for one read after the other gains nothing by that, and is left alone.
 *
 * Node's own threads are woken for every request, and wake this one when it is done: that takes as long as reading half a MiB.
 *
 * @internal
 */
export class ReadAhead {
  readonly #fd: number
  readonly #libc: Libc
  readonly #aio: Aio
  readonly #row = new LongRow(true)
  readonly #retreat = new Retreat(this.#row)
  readonly #queue: AioQueue<Pending>
  /** What the thread does not have yet. */
  readonly #waiting: Pending[] = []
  #looks = 0

  constructor(fd: number, libc: Libc, aio: Aio) {
    this.#fd = fd
    this.#libc = libc
    this.#aio = aio
    this.#queue = new AioQueue(aio, { over: (request, bytes) => this.#over(request, bytes), idle: () => this.#readOne() })
  }

  /** `null`: read it in another way. */
  read(offset: number, into: Uint8Array): Promise<void> | null {
    if (!this.#row.continues(offset, into.length)) return null
    if (this.#looks++ % LOOK_EVERY === 0 && !this.#isCached(offset, into)) {
      this.#looks = 0
      return null
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    const request: Pending = { offset, into, resolve: resolve as Pending['resolve'] }
    if (this.#queue.length >= GIVEN) this.#waiting.push(request)
    else if (!this.#give(request)) return null
    lately.began()
    return promise
  }

  #give(request: Pending): boolean {
    const isGiven = this.#queue.give(request, (block) => this.#aio.read(block, this.#fd, request.into, request.offset))
    if (isGiven) lately.given()
    return isGiven
  }

  /** By its last byte: what comes last is read last. */
  #isCached(offset: number, into: Uint8Array): boolean {
    const at = into.length - 1
    return this.#libc.preadNowait(this.#fd, into.subarray(at), offset + at) === 1
  }

  /** What the thread does not take is read elsewhere. */
  #giveNext(): void {
    while (this.#queue.length < GIVEN) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      if (!this.#give(next)) this.#readElsewhere(next)
    }
  }

  /** Nobody has anything to do here: this thread reads what the other one does not have yet. False if it has everything. */
  #readOne(): boolean {
    const next = this.#waiting.shift()
    if (next === undefined) return false
    if (this.#libc.preadNowait(this.#fd, next.into, next.offset) === next.into.length) {
      lately.ended()
      next.resolve(undefined)
    } else this.#readElsewhere(next)
    return true
  }

  #readElsewhere({ offset, into, resolve }: Pending): void {
    lately.ended()
    resolve(readFully(this.#fd, offset, into, 0))
  }

  #over({ offset, into, resolve }: Pending, bytes: number): void {
    lately.ended()
    this.#giveNext()
    this.#retreat.ended(this.#queue.length === 0)
    // The end of the file, or an error, which a thread meets again and reports.
    resolve(bytes === into.length ? undefined : readFully(this.#fd, offset, into, Math.max(0, bytes)))
  }
}
