import type { BlockNode } from '@blockloom/block-core'
import { BlockError, DONE, isBlockError } from '@blockloom/block-driver'
import { BufferPool } from '../pieces/buffer-pool.ts'
import { EarlyFlush } from '../pieces/early-flush.ts'
import { PiecePool } from '../pieces/piece-pool.ts'
import { Turns } from '../pieces/turns.ts'
import type { BackingView, ViewRun } from './backing-view.ts'
import { differences } from './differences.ts'
import { Suspects, type Suspect } from './suspects.ts'

/** @internal */
export interface CopyDifferences {
  readonly overlay: BlockNode
  readonly old: BackingView
  readonly new: BackingView
  readonly compress: boolean
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** Longest piece that is compared at once: of two chains, the processor's nearer cache holds both. */
const PIECE = 512 * 1024

/** Pieces in flight, at most; each takes two buffers. */
const PARALLEL = 8

/** Zeroes that are written at once, or a unit. */
const MOST_ZEROES = 64 * 1024

/** A unit for formats that say nothing about theirs. */
const DEFAULT_UNIT = 4096

/**
 * Stores in the overlay what the old chain has below it and the new one has not. What the overlay reads as does not
 * change at any point; nothing is in flight any more at the end, however it comes.
 *
 * @internal
 */
export async function copyDifferences(work: CopyDifferences): Promise<void> {
  const { overlay, signal } = work
  const copy = new Copy(work)
  try {
    for (let at = 0; at < overlay.size; ) {
      signal?.throwIfAborted()
      const extent = await overlay.extents(at, overlay.size - at)
      const end = at + extent.bytes
      if (extent.kind === 'absent') await copy.compare(at, end)
      at = end
      copy.looked(at)
    }
    await copy.finish()
  } finally {
    await copy.settled()
  }
}

class Copy {
  readonly #work: CopyDifferences
  readonly #unit: number
  readonly #pool = new PiecePool(PARALLEL, 1)
  readonly #turns = new Turns()
  readonly #buffers: BufferPool
  readonly #suspects: Suspects
  readonly #flush: EarlyFlush
  /** Where the pieces in flight begin. */
  readonly #inFlight = new Set<number>()
  /** Everything in front of this has been looked up. */
  #looked = 0
  #reported = -1

  constructor(work: CopyDifferences) {
    const { overlay, compress } = work
    this.#work = work
    const { zeroAlignment, clusterSize } = overlay.limits
    this.#unit = compress ? overlay.compressGranularity! : zeroAlignment > 1 ? zeroAlignment : clusterSize || DEFAULT_UNIT
    const piece = Math.max(PIECE, this.#unit)
    this.#buffers = new BufferPool(piece)
    this.#suspects = new Suspects(this.#unit, piece)
    this.#flush = new EarlyFlush(overlay)
    this.#report()
  }

  /** Everything in front of `offset` has been looked up. */
  looked(offset: number): void {
    this.#looked = offset
    this.#report()
  }

  /** Compares the chains in a range of which the overlay has nothing. */
  async compare(from: number, end: number): Promise<void> {
    const { signal } = this.#work
    const bounds = { from, to: end }
    for (let at = from; at < end; ) {
      signal?.throwIfAborted()
      const [old, now] = await this.#runs(at, end - at)
      const bytes = Math.min(old.bytes, now.bytes)
      if (old.kind === 'data' || now.kind === 'data') {
        const range = { from: at, to: at + bytes, oldZero: old.kind === 'zero', newZero: now.kind === 'zero' }
        for (const suspect of this.#suspects.add(range, bounds)) await this.#start(suspect)
      }
      at += bytes
      this.looked(at)
      const turn = this.#turns.spend(0)
      if (turn !== null) await turn
    }
  }

  async #start(suspect: Suspect): Promise<void> {
    const turn = this.#turns.spend(2 * (suspect.to - suspect.from))
    if (turn !== null) await turn
    this.#work.signal?.throwIfAborted()
    await this.#pool.start(async () => {
      this.#inFlight.add(suspect.from)
      await this.#piece(suspect)
      this.#inFlight.delete(suspect.from)
      this.#report()
    })
  }

  /** What lies in front of everything that is still to be done. */
  #report(): void {
    const { onProgress, overlay } = this.#work
    if (onProgress === undefined) return
    const done = Math.min(this.#looked, this.#suspects.pendingFrom, ...this.#inFlight)
    if (done <= this.#reported) return
    this.#reported = done
    onProgress({ done, total: overlay.size })
  }

  async #runs(at: number, bytes: number): Promise<readonly [ViewRun, ViewRun]> {
    const { old, new: now } = this.#work
    const a = await old.run(at, bytes)
    const b = await now.run(at, a.bytes)
    if (a.kind === b.kind) return [a, b]
    // Only one of them gets it from the common layer: it has to say what that is.
    if (a.kind === 'common') return [await old.resolved(at, b.bytes), b]
    if (b.kind === 'common') return [a, await now.resolved(at, b.bytes)]
    return [a, b]
  }

  async finish(): Promise<void> {
    for (const suspect of this.#suspects.flush()) await this.#start(suspect)
    await this.#pool.finish()
    this.#report()
  }

  async settled(): Promise<void> {
    await this.#pool.settled()
    await this.#flush.settled()
  }

  async #piece({ from, to, oldZero, newZero }: Suspect): Promise<void> {
    const { old, new: now } = this.#work
    const before = oldZero ? null : this.#buffers.take(to - from)
    const after = newZero ? null : this.#buffers.take(to - from)
    try {
      const reads = [read(old, from, before, 'old'), read(now, from, after, 'new')]
      if (reads.some((reading) => reading !== DONE)) await all(reads)
      await this.#store(from, to - from, before, after)
    } finally {
      if (before !== null) this.#buffers.give(before)
      if (after !== null) this.#buffers.give(after)
    }
  }

  async #store(offset: number, bytes: number, before: Uint8Array | null, after: Uint8Array | null): Promise<void> {
    const writes: Promise<void>[] = []
    for (const { from, to, zero } of differences(before, after, offset, bytes, this.#unit)) {
      if (zero) writes.push(this.#zero(offset + from, to - from))
      else this.#write(offset + from, before!.subarray(from, to), writes)
    }
    if (writes.length === 0) return
    // All of them: the buffer is about to be used again.
    for (const result of await Promise.allSettled(writes)) if (result.status === 'rejected') throw atStage('overlay', result.reason)
    this.#flush.wrote(bytes)
  }

  /** Without a backing file nothing has to be stored for zeroes, and some formats cannot: the new one would show there. */
  async #zero(offset: number, bytes: number): Promise<void> {
    const { overlay } = this.#work
    await overlay.zero(offset, bytes)
    if (overlay.backing !== null) return
    for (let at = offset; at < offset + bytes; ) {
      const extent = await overlay.extents(at, offset + bytes - at)
      if (extent.kind === 'absent') await this.#storeZeroes(at, extent.bytes)
      at += extent.bytes
    }
  }

  async #storeZeroes(offset: number, bytes: number): Promise<void> {
    const zeroes = new Uint8Array(Math.min(bytes, Math.max(this.#unit, MOST_ZEROES)))
    for (let done = 0; done < bytes; done += zeroes.length) {
      await this.#work.overlay.write(offset + done, zeroes.subarray(0, Math.min(zeroes.length, bytes - done)))
    }
  }

  #write(offset: number, bytes: Uint8Array, writes: Promise<void>[]): void {
    const { overlay, compress } = this.#work
    if (!compress) {
      writes.push(overlay.write(offset, bytes))
      return
    }
    const unit = this.#unit
    for (let done = 0; done < bytes.length; ) {
      const at = offset + done
      const cluster = bytes.subarray(done, Math.min(bytes.length, done + unit - (at % unit)))
      // The overlay has a part of the cluster itself: it can be compressed only as a whole.
      const isWhole = at % unit === 0 && (cluster.length === unit || at + cluster.length === overlay.size)
      writes.push(isWhole ? overlay.writeCompressed(at, cluster) : overlay.write(at, cluster))
      done += cluster.length
    }
  }
}

function read(view: BackingView, offset: number, into: Uint8Array | null, stage: 'old' | 'new'): Promise<void> {
  if (into === null) return DONE
  const reading = view.read(offset, into)
  if (reading === DONE) return DONE
  return reading.catch((error: unknown) => {
    throw atStage(stage, error)
  })
}

/** Waits for all, even if one fails: their buffers are about to be used again. */
async function all(requests: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(requests)) if (result.status === 'rejected') throw result.reason
}

const WORDS = { old: 'error while reading from old backing file', new: 'error while reading from new backing file', overlay: 'Error while writing to COW image' }

/** Says what was being done; `detail.stage` is for programs. */
function atStage(stage: keyof typeof WORDS, error: unknown): unknown {
  if (!isBlockError(error)) return error
  return new BlockError(error.code, `${WORDS[stage]}: ${error.message}`, { errno: error.errno, cause: error, detail: { ...error.detail, stage } })
}
