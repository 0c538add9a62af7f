import type { BlockNode } from '@blockloom/block-core'
import { InOrder } from '../copy/in-order.ts'
import { RateLimit } from '../copy/rate-limit.ts'
import { BufferPool } from '../pieces/buffer-pool.ts'
import { EarlyFlush } from '../pieces/early-flush.ts'
import { PiecePool } from '../pieces/piece-pool.ts'
import { Turns } from '../pieces/turns.ts'

/** @internal */
export interface CopyDown {
  /** The layers above the base. */
  readonly top: BlockNode
  /** At least as long as `top`. */
  readonly base: BlockNode
  /** Bytes per second. */
  readonly rateLimit?: number | undefined
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** Longest piece that is read and written at once: what files read ahead, and write at once. */
const PIECE = 1 << 20

/** Pieces in flight. */
const PARALLEL = 6

/**
 * Stores in the base what the layers above it have: data as data, zeroes as zeroes. Nothing is in flight any more at the
 * end, however it comes.
 *
 * @internal
 */
export async function copyDown(work: CopyDown): Promise<void> {
  const { top, signal, onProgress } = work
  const turns = new Turns()
  const copy = new Copy(work, onProgress === undefined ? 0 : await dataBytes(top, signal))
  try {
    for (let at = 0; at < top.size; ) {
      signal?.throwIfAborted()
      const run = await runAt(top, at, top.size - at)
      const bytes = run.kind === 'absent' ? run.bytes : run.kind === 'zero' ? await copy.zero(at, run.bytes) : await copy.data(at, run.bytes)
      at += bytes
      const turn = turns.spend(run.kind === 'data' ? bytes : 0)
      if (turn !== null) await turn
    }
    await copy.finish()
  } finally {
    await copy.settled()
  }
}

interface Run {
  readonly kind: 'absent' | 'zero' | 'data'
  readonly bytes: number
}

async function runAt(top: BlockNode, offset: number, most: number): Promise<Run> {
  const { allocated, zero, host, bytes } = await top.status(offset, most)
  if (!allocated || zero) return { kind: allocated ? 'zero' : 'absent', bytes }
  if (host === undefined || host.node === null || host.offset + bytes > host.node.size) return { kind: 'data', bytes }
  // Space that was preallocated and never written is a hole of the file.
  const inside = await host.node.status(host.offset, bytes)
  return { kind: inside.zero ? 'zero' : 'data', bytes: inside.bytes }
}

async function dataBytes(top: BlockNode, signal: AbortSignal | undefined): Promise<number> {
  let total = 0
  for (let at = 0; at < top.size; ) {
    signal?.throwIfAborted()
    const { kind, bytes } = await runAt(top, at, top.size - at)
    if (kind === 'data') total += bytes
    at += bytes
  }
  return total
}

class Copy {
  readonly #work: CopyDown
  readonly #pool = new PiecePool(PARALLEL)
  readonly #buffers = new BufferPool(PIECE)
  /** New clusters of the base lie in the order of the disk. */
  readonly #order = new InOrder()
  readonly #flush: EarlyFlush
  readonly #rate: RateLimit | null
  readonly #total: number
  #number = 0
  #done = 0

  constructor(work: CopyDown, total: number) {
    this.#work = work
    this.#total = total
    this.#flush = new EarlyFlush(work.base)
    this.#rate = work.rateLimit ? new RateLimit(work.rateLimit) : null
    this.#report(0)
  }

  /** Returns how much of the disk it took. What reads as zeroes is left alone: formats that cannot say "zero" need space. */
  async zero(offset: number, most: number): Promise<number> {
    const { base } = this.#work
    const unit = base.limits.zeroAlignment
    const { zero, bytes } = await base.status(offset, most)
    // A unit that is only partly zero is zeroed as a whole.
    const left = zero && bytes < most ? bytes - ((offset + bytes) % unit) : bytes
    if (zero && left > 0) return left
    const end = Math.min(offset + most, Math.ceil((offset + bytes) / unit) * unit)
    await this.#start(
      () => Promise.resolve(),
      () => base.zero(offset, end - offset),
    )
    return end - offset
  }

  /** Takes what follows too, as long as it is data. */
  async data(offset: number, bytes: number): Promise<number> {
    const { top, base } = this.#work
    let length = Math.min(bytes, PIECE)
    while (length < PIECE && offset + length < top.size) {
      const more = await runAt(top, offset + length, Math.min(PIECE, top.size - offset) - length)
      if (more.kind !== 'data') break
      length += more.bytes
    }
    await this.#rate?.wait(length, this.#work.signal)
    const buffer = { bytes: null as Uint8Array | null }
    await this.#start(
      () => top.read(offset, (buffer.bytes = this.#buffers.take(length))),
      async () => {
        await base.write(offset, buffer.bytes!)
        this.#flush.wrote(length)
        this.#report(length)
      },
      () => {
        if (buffer.bytes !== null) this.#buffers.give(buffer.bytes)
      },
    )
    return length
  }

  async #start(read: () => Promise<void>, write: () => Promise<void>, settled: () => void = () => undefined): Promise<void> {
    const number = this.#number
    await this.#pool.start(async () => {
      try {
        try {
          await read()
          await this.#order.turn(number)
        } catch (error) {
          await this.#order.turn(number)
          this.#order.pass(number)
          throw error
        }
        // Writes start in order, and then run side by side.
        const written = write()
        this.#order.pass(number)
        await written
      } finally {
        settled()
      }
    })
    this.#number++
  }

  async finish(): Promise<void> {
    await this.#pool.finish()
    this.#work.onProgress?.({ done: this.#total, total: this.#total })
  }

  async settled(): Promise<void> {
    await this.#pool.settled()
    await this.#flush.settled()
  }

  #report(bytes: number): void {
    this.#done += bytes
    this.#work.onProgress?.({ done: Math.min(this.#done, this.#total), total: this.#total })
  }
}
