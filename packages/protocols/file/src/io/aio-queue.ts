import { constants } from 'node:os'
import type { Aio, ControlBlock } from '../native/aio.ts'
import { noticeTurn } from './turn-budget.ts'

const { EINPROGRESS } = constants.errno
/** Turns of the event loop without a request that ended, before a thread waits for one: a millisecond or two. */
const MOST_TURNS = 256

/** What happens with requests. @internal */
export interface AioHandler<R> {
  /** The host is done with it: bytes, or -1. */
  over(request: R, bytes: number): void
  /** Nothing ended in this turn of the event loop; true if something got done here instead. */
  idle(): boolean
}

interface Given<R> {
  readonly request: R
  readonly block: ControlBlock
}

/** Queues whose first request does not end. */
let stuck = 0

/**
 * Requests for one file that the thread of the host's library has, and the look-out for those that are over.
 *
 * The thread is one for all files. If it hangs on one of them, the requests that wait behind are taken back, and nothing is
 * given to it until it goes on.
 *
 * @internal
 */
export class AioQueue<R> {
  readonly #aio: Aio
  readonly #handler: AioHandler<R>
  readonly #given: Given<R>[] = []
  /** Of requests that are over. */
  readonly #blocks: ControlBlock[] = []
  #turns = 0
  #isWatched = false

  constructor(aio: Aio, handler: AioHandler<R>) {
    this.#aio = aio
    this.#handler = handler
  }

  /** Requests that are not over. */
  get length(): number {
    return this.#given.length
  }

  /**
   * @param start - hands the request over: 0, or minus the errno
   * @returns false if the host does not take it
   */
  give(request: R, start: (block: ControlBlock) => number): boolean {
    if (stuck > 0) return false
    const block = this.#blocks.pop() ?? this.#aio.block()
    if (start(block) < 0) {
      this.#blocks.push(block)
      return false
    }
    this.#given.push({ request, block })
    this.#watch()
    return true
  }

  #watch(): void {
    if (this.#isWatched || this.#given.length === 0) return
    this.#isWatched = true
    setImmediate(this.#turn)
  }

  readonly #turn = (): void => {
    noticeTurn()
    this.#turns = this.#collect() || this.#handler.idle() ? 0 : this.#turns + 1
    if (this.#turns <= MOST_TURNS) return this.#watchOn()
    this.#turns = 0
    void this.#wait()
  }

  #watchOn(): void {
    this.#isWatched = false
    this.#watch()
  }

  async #wait(): Promise<void> {
    await this.#aio.wait(this.#given[0]!.block)
    if (!this.#collect()) await this.#endure()
    this.#watchOn()
  }

  /** The thread hangs, on a request of this file or of another one. */
  async #endure(): Promise<void> {
    stuck++
    for (const { block } of this.#given) this.#aio.cancel(block)
    for (const given of [...this.#given]) this.#end(given)
    while (this.#given.length > 0 && !this.#collect()) await this.#aio.wait(this.#given[0]!.block)
    stuck--
  }

  /** Ends the requests that are over, in the order they were given. True if there was one. */
  #collect(): boolean {
    let ended = false
    // Others may be given meanwhile: their number says nothing.
    while (this.#given.length > 0 && this.#end(this.#given[0]!)) ended = true
    return ended
  }

  /** False if it is not over. */
  #end(given: Given<R>): boolean {
    const { request, block } = given
    if (this.#aio.error(block) === EINPROGRESS) return false
    this.#given.splice(this.#given.indexOf(given), 1)
    const bytes = this.#aio.result(block)
    this.#blocks.push(block)
    this.#handler.over(request, bytes)
    return true
  }
}
