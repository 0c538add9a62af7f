import { constants } from 'node:os'
import type { Libc } from '../native/libc.ts'
import type { Aio, ControlBlock } from '../native/aio.ts'
import { LongRow } from './long-row.ts'
import { readFully } from './threads.ts'
import { noticeTurn } from './turn-budget.ts'

const { EINPROGRESS } = constants.errno
/** One read of so many is looked up in the page cache before. */
const LOOK_EVERY = 8
/** Turns of the event loop without a read that ended, before a thread waits for it: a millisecond or two. */
const MOST_TURNS = 256
/** Reads one after the other that nobody waited behind. */
const MOST_ALONE = 4
/** Bytes until it is tried again after that: twice as many each time. */
const SHORTEST_RETREAT = 16 * 1024 * 1024
const LONGEST_RETREAT = 1024 * 1024 * 1024

/** Requests that the thread has, at most: one that it works on, and what it goes on with. */
const GIVEN = 3

interface Pending {
  readonly offset: number
  readonly into: Uint8Array
  readonly resolve: (result: Promise<void> | undefined) => void
  /** While the thread has it. */
  block: ControlBlock | null
}

/** Requests under way, of all files. */
let reading = 0

/** Bytes written since a read was given to the thread, and so many that nothing will be for a while. */
let written = Infinity
const LATELY = 32 * 1024 * 1024

/** True if a thread reads a stream, of whatever file, or did when the last few writes were made. @internal */
export function isReadingAhead(writing: number): boolean {
  written += writing
  return reading > 0 || written <= LATELY
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
  readonly #pending: Pending[] = []
  /** Of requests that are over. */
  readonly #blocks: ControlBlock[] = []
  #looks = 0
  #alone = 0
  #retreat = SHORTEST_RETREAT
  #turns = 0
  #isWatched = false

  constructor(fd: number, libc: Libc, aio: Aio) {
    this.#fd = fd
    this.#libc = libc
    this.#aio = aio
  }

  /** `null`: read it in another way. */
  read(offset: number, into: Uint8Array): Promise<void> | null {
    if (!this.#row.continues(offset, into.length)) return null
    if (this.#looks++ % LOOK_EVERY === 0 && !this.#isCached(offset, into)) {
      this.#looks = 0
      return null
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    const request: Pending = { offset, into, resolve: resolve as Pending['resolve'], block: null }
    if (this.#pending.length < GIVEN && !this.#give(request)) return null
    reading++
    this.#pending.push(request)
    if (this.#pending.length > 1) this.#alone = 0
    this.#watch()
    return promise
  }

  #give(request: Pending): boolean {
    const block = this.#blocks.pop() ?? this.#aio.block()
    if (this.#aio.read(block, this.#fd, request.into, request.offset) < 0) {
      this.#blocks.push(block)
      return false
    }
    request.block = block
    written = 0
    return true
  }

  /** By its last byte: what comes last is read last. */
  #isCached(offset: number, into: Uint8Array): boolean {
    const at = into.length - 1
    return this.#libc.preadNowait(this.#fd, into.subarray(at), offset + at) === 1
  }

  #watch(): void {
    if (this.#isWatched || this.#pending.length === 0) return
    this.#isWatched = true
    setImmediate(() => {
      noticeTurn()
      this.#turns = this.#collect() || this.#readOne() ? 0 : this.#turns + 1
      if (this.#turns <= MOST_TURNS) return this.#watchOn()
      this.#turns = 0
      void this.#aio.wait(this.#pending[0]!.block!).then(() => {
        this.#collect()
        this.#watchOn()
      })
    })
  }

  #watchOn(): void {
    this.#isWatched = false
    this.#watch()
  }

  /** Ends the requests that are over, and gives the thread others; they end in the order they came. True if there was one. */
  #collect(): boolean {
    const before = this.#pending.length
    for (let [first] = this.#pending; first !== undefined; [first] = this.#pending) {
      if (this.#aio.error(first.block!) === EINPROGRESS) break
      this.#pending.shift()
      this.#giveNext()
      reading--
      this.#end(first)
    }
    return this.#pending.length < before
  }

  /** The first {@link GIVEN} are always with the thread: what it does not take is read elsewhere. */
  #giveNext(): void {
    const index = GIVEN - 1
    while (this.#pending.length > index && !this.#give(this.#pending[index]!)) this.#readElsewhere(index)
  }

  /** Nobody has anything to do here: this thread reads what the other one does not have yet. False if it has everything. */
  #readOne(): boolean {
    const next = this.#pending[GIVEN]
    if (next === undefined) return false
    const read = this.#libc.preadNowait(this.#fd, next.into, next.offset)
    if (read === next.into.length) {
      this.#pending.splice(GIVEN, 1)
      reading--
      next.resolve(undefined)
    } else this.#readElsewhere(GIVEN)
    return true
  }

  #readElsewhere(index: number): void {
    const { offset, into, resolve } = this.#pending.splice(index, 1)[0]!
    reading--
    resolve(readFully(this.#fd, offset, into, 0))
  }

  #end({ block, offset, into, resolve }: Pending): void {
    const bytes = this.#aio.result(block!)
    this.#blocks.push(block!)
    if (this.#pending.length === 0 && ++this.#alone >= MOST_ALONE) {
      this.#alone = 0
      this.#row.forget(this.#retreat)
      this.#retreat = Math.min(this.#retreat * 2, LONGEST_RETREAT)
    }
    // The end of the file, or an error, which a thread meets again and reports.
    resolve(bytes === into.length ? undefined : readFully(this.#fd, offset, into, Math.max(0, bytes)))
  }
}
