import { BlockError, DONE, isBlockError, RequestFlag } from '@blockloom/block-driver'
import type { BlockNode } from '@blockloom/block-core'
import { alignedBuffer } from '../pieces/aligned-buffer.ts'
import { Turns } from '../pieces/turns.ts'
import { Crew } from './crew.ts'
import { InOrder } from './in-order.ts'
import { PieceSource } from './piece-source.ts'
import { RateLimit } from './rate-limit.ts'
import { SourceMap, type SourceRun } from './source-map.ts'
import { zeroRuns } from './zero-scan.ts'

/** How far a copy is. Bytes of the source that hold data; holes are not counted. @public */
export interface CopyProgress {
  readonly done: number
  readonly total: number
}

/** @public */
export interface CopyOptions {
  /** Copied one behind the other. */
  readonly sources: readonly BlockNode[]
  readonly target: BlockNode
  /** The target reads as zeroes now: zeroes are not written. Default false. */
  readonly targetIsZero?: boolean
  /** The target has this backing file: what the sources do not have above `base` is left to it. */
  readonly targetBacking?: BlockNode | null
  readonly base?: BlockNode | null
  /** Store compressed. */
  readonly compress?: boolean
  /** Runs of zeroes of at least this many bytes stay sparse; 0 writes everything. Default 4096. */
  readonly sparse?: number
  /** Requests in flight, 1 … 16. Default 8. */
  readonly parallel?: number
  /** Writes may start in any order. Default false: in the order of the image, which keeps new images contiguous. */
  readonly outOfOrder?: boolean
  /** Bytes per second; 0 is no limit. */
  readonly rateLimit?: number
  /** Unreadable source ranges become zeroes, and are reported. */
  readonly onUnreadable?: (offset: number, bytes: number, error: unknown) => void
  readonly onProgress?: (progress: CopyProgress) => void
  readonly signal?: AbortSignal
}

/**
 * Longest piece read or written at once; `parallel` times this is the memory used. Each piece costs a few calls of the host
 * and a lookup besides the copying: with pieces of half the size a copy takes up to a twentieth longer.
 */
const PIECE = 2 << 20

/**
 * Copies images into a target. Holes are not read, zeroes are found at 4 KiB, memory does not depend on the size.
 *
 * @throws whatever a read or write throws first; nothing is in flight any more by then
 * @public
 */
export async function copyImage(options: CopyOptions): Promise<void> {
  await new Copy(options).run()
}

/** A piece, and its place in the order of writes. */
type NumberedRun = SourceRun & { readonly number: number }

class Copy {
  readonly #o: CopyOptions
  readonly #map: SourceMap
  readonly #pieces: PieceSource
  readonly #piece: number
  readonly #unit: number
  readonly #order = new InOrder()
  readonly #turns = new Turns()
  readonly #rate: RateLimit | null
  readonly #crew: Crew
  #targetIsZero: boolean
  #position = 0
  #number = 0
  #done = 0
  #total = 0
  #failed: { readonly error: unknown } | null = null
  /** Runs are looked up one after the other; requests are what runs in parallel. */
  #looking: Promise<void> | null = null

  constructor(options: CopyOptions) {
    this.#o = options
    this.#map = new SourceMap(options.sources, options.base ?? null, options.targetBacking?.size ?? null)
    this.#targetIsZero = options.targetIsZero ?? false
    const { target } = options
    if (this.#map.size > target.size) throw new BlockError('range', 'The target is smaller than the source', { detail: { size: this.#map.size } })
    if (options.compress && target.compressGranularity === undefined) {
      throw new BlockError('unsupported', 'Compression not supported for this file format', { detail: { option: 'compress' } })
    }
    const cluster = target.compressGranularity ?? 1
    this.#piece = options.compress ? Math.max(cluster, PIECE - (PIECE % cluster)) : PIECE
    this.#pieces = new PieceSource(this.#map, { piece: this.#piece, cluster: options.compress ? cluster : null, zeroesAreData: options.sparse === 0 })
    // A zero run smaller than the target's unit would be written as data around it anyway.
    this.#unit = Math.max(options.sparse ?? 4096, options.compress ? cluster : Math.min(target.limits.zeroAlignment, PIECE), 512)
    this.#crew = new Crew(Math.max(1, Math.min(16, options.parallel ?? 8)), () => this.#work())
    this.#rate = options.rateLimit ? new RateLimit(options.rateLimit) : null
  }

  async run(): Promise<void> {
    await this.#makeTargetZero()
    if (this.#o.onProgress !== undefined) await this.#measure()
    await this.#crew.run()
    if (this.#failed !== null) throw this.#failed.error
  }

  /** How much there is to do: only for those who want to know, because it takes a look at all of the map. */
  async #measure(): Promise<void> {
    for (let at = 0; at < this.#map.size; ) {
      this.#o.signal?.throwIfAborted()
      const run = await this.#pieces.run(at)
      if (run.kind === 'data') this.#total += run.bytes
      const turn = this.#turns.spend(0)
      if (turn !== null) await turn
      at += run.bytes
    }
    this.#report(0)
  }

  /** A target that is no new one: one metadata request may do for all that is copied; what is behind it stays. */
  async #makeTargetZero(): Promise<void> {
    const { target, targetBacking } = this.#o
    if (this.#targetIsZero || targetBacking != null || this.#o.sparse === 0) return
    try {
      await target.zero(0, this.#map.size, RequestFlag.MAY_UNMAP | RequestFlag.NO_FALLBACK)
      this.#targetIsZero = true
    } catch (error) {
      if (!isBlockError(error, 'unsupported')) throw error
    }
  }

  async #work(): Promise<void> {
    let buffer: Uint8Array | null = null
    for (;;) {
      // Requests that are done at once are not waited for: a wait costs as much as all that is done here besides.
      const next = this.#next()
      const run = next instanceof Promise ? await next : next
      if (run === null) return
      const { number } = run
      let passed = false
      try {
        if (run.kind === 'data') {
          buffer ??= alignedBuffer(this.#piece)
          if (this.#rate !== null) await this.#rate.wait(run.bytes, this.#o.signal)
          const reading = this.#readInto(run, buffer.subarray(0, run.bytes))
          if (reading !== DONE) await reading
        }
        if (!this.#o.outOfOrder && !this.#order.isTurn(number)) await this.#order.turn(number)
        // Writes start in order, and then run side by side.
        const writing = this.#failed === null ? this.#write(run, buffer) : DONE
        this.#order.pass(number)
        passed = true
        if (writing !== DONE) await writing
        this.#crew.progress()
        if (run.kind === 'data') this.#report(run.bytes)
        const turn = this.#turns.spend(run.kind === 'data' ? run.bytes : 0)
        if (turn !== null) await turn
      } catch (error) {
        this.#failed ??= { error }
        if (!passed) {
          await this.#order.turn(number)
          this.#order.pass(number)
        }
      }
    }
  }

  /** The next piece to copy; `null` at the end or after a failure. Numbers have no gaps. */
  #next(): NumberedRun | null | Promise<NumberedRun | null> {
    if (this.#looking !== null) return this.#looking.then(() => this.#next())
    try {
      while (this.#failed === null && this.#position < this.#map.size) {
        this.#o.signal?.throwIfAborted()
        const run = this.#pieces.at(this.#position)
        if (run instanceof Promise) return this.#nextLater(run)
        const taken = this.#take(run)
        if (taken !== null) return taken
      }
    } catch (error) {
      this.#failed ??= { error }
    }
    return null
  }

  async #nextLater(asked: Promise<SourceRun>): Promise<NumberedRun | null> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#looking = promise
    let taken: NumberedRun | null = null
    try {
      taken = this.#take(await asked)
    } catch (error) {
      this.#failed ??= { error }
    }
    this.#looking = null
    resolve()
    return taken ?? this.#next()
  }

  /** Moves on behind the run; null if there is nothing to do for it. */
  #take(run: SourceRun): NumberedRun | null {
    this.#position = run.offset + run.bytes
    if (run.kind === 'backing' || (run.kind === 'zero' && this.#targetIsZero)) return null
    return { ...run, number: this.#number++ }
  }

  #readInto(run: SourceRun, into: Uint8Array): Promise<void> {
    const reading = this.#map.read(run.offset, into)
    const { onUnreadable } = this.#o
    return reading === DONE || onUnreadable === undefined ? reading : reading.catch(() => this.#salvage(run.offset, into, onUnreadable))
  }

  /** Sector by sector, what cannot be read becomes zeroes. */
  async #salvage(offset: number, into: Uint8Array, report: NonNullable<CopyOptions['onUnreadable']>): Promise<void> {
    for (let done = 0; done < into.length; done += 512) {
      const sector = into.subarray(done, Math.min(into.length, done + 512))
      try {
        await this.#map.read(offset + done, sector)
      } catch (error) {
        sector.fill(0)
        report(offset + done, sector.length, error)
      }
    }
  }

  /** {@link DONE} if that is done. */
  #write(run: SourceRun, buffer: Uint8Array | null): Promise<void> {
    const { target } = this.#o
    if (run.kind === 'zero') return target.zero(run.offset, run.bytes)
    const bytes = buffer!.subarray(0, run.bytes)
    if (this.#o.compress) return this.#writeCompressed(run.offset, bytes)
    if (this.#o.sparse === 0) return target.write(run.offset, bytes)
    const writes: Promise<void>[] = []
    for (const { zero, from, to } of zeroRuns(bytes, run.offset, this.#unit)) {
      if (!zero) writes.push(target.write(run.offset + from, from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to)))
      else if (!this.#targetIsZero) writes.push(target.zero(run.offset + from, to - from))
    }
    return allSettledOrThrow(writes)
  }

  async #writeCompressed(offset: number, bytes: Uint8Array): Promise<void> {
    const { target } = this.#o
    const cluster = target.compressGranularity!
    const writes: Promise<void>[] = []
    for (let at = 0; at < bytes.length; at += cluster) {
      const piece = bytes.subarray(at, Math.min(bytes.length, at + cluster))
      const zero = zeroRuns(piece, 0, cluster).every((r) => r.zero)
      if (!zero) writes.push(target.writeCompressed(offset + at, piece))
      else if (!this.#targetIsZero) writes.push(target.zero(offset + at, piece.length))
    }
    await allSettledOrThrow(writes)
  }

  #report(bytes: number): void {
    this.#done += bytes
    this.#o.onProgress?.({ done: Math.min(this.#done, this.#total), total: this.#total })
  }
}

/** Waits for all that are not done yet, even if one fails: their buffer is about to be used again. */
function allSettledOrThrow(promises: readonly Promise<void>[]): Promise<void> {
  const pending = promises.filter((promise) => promise !== DONE)
  if (pending.length === 0) return DONE
  return pending.length === 1 ? pending[0]! : settled(pending)
}

async function settled(promises: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(promises)) if (result.status === 'rejected') throw result.reason
}
