import { BlockError, isBlockError, RequestFlag } from '@blockloom/block-driver'
import type { BlockNode } from '@blockloom/block-core'
import { alignedBuffer } from '../pieces/aligned-buffer.ts'
import { Crew } from './crew.ts'
import { InOrder } from './in-order.ts'
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
 * Longest piece read or written at once; `parallel` times this is the memory used. Small enough that what was read is
 * still in the processor's cache when it is written.
 */
const PIECE = 1 << 20

/**
 * Copies images into a target. Holes are not read, zeroes are found at 4 KiB, memory does not depend on the size.
 *
 * @throws whatever a read or write throws first; nothing is in flight any more by then
 * @public
 */
export async function copyImage(options: CopyOptions): Promise<void> {
  await new Copy(options).run()
}

class Copy {
  readonly #o: CopyOptions
  readonly #map: SourceMap
  readonly #piece: number
  readonly #unit: number
  readonly #order = new InOrder()
  readonly #rate: RateLimit | null
  readonly #crew: Crew
  #targetIsZero: boolean
  #position = 0
  #number = 0
  #done = 0
  #total = 0
  #failed: { readonly error: unknown } | null = null
  /** Runs are looked up one after the other; requests are what runs in parallel. */
  #looking: Promise<unknown> = Promise.resolve()

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
      const run = await this.#lookUp(at, this.#map.size - at)
      if (run.kind === 'data') this.#total += run.bytes
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
      const run = await this.#next()
      if (run === null) return
      const number = run.number
      let passed = false
      try {
        if (run.kind === 'data') {
          buffer ??= alignedBuffer(this.#piece)
          await this.#rate?.wait(run.bytes, this.#o.signal)
          await this.#readInto(run, buffer.subarray(0, run.bytes))
        }
        if (!this.#o.outOfOrder) await this.#order.turn(number)
        // Writes start in order, and then run side by side.
        const written = this.#failed === null ? this.#write(run, buffer) : null
        this.#order.pass(number)
        passed = true
        await written
        this.#crew.progress()
        if (run.kind === 'data') this.#report(run.bytes)
      } catch (error) {
        this.#failed ??= { error }
        if (!passed) {
          await this.#order.turn(number)
          this.#order.pass(number)
        }
      }
    }
  }

  /** The next run to copy; `null` at the end or after a failure. Numbers have no gaps. */
  #next(): Promise<(SourceRun & { number: number }) | null> {
    const next = this.#looking.then(async () => {
      try {
        while (this.#failed === null && this.#position < this.#map.size) {
          this.#o.signal?.throwIfAborted()
          const run = await this.#gather(this.#position)
          this.#position = run.offset + run.bytes
          if (run.kind === 'data' || (run.kind === 'zero' && !this.#targetIsZero)) return { ...run, number: this.#number++ }
        }
      } catch (error) {
        this.#failed ??= { error }
      }
      return null
    })
    this.#looking = next
    return next
  }

  /** Adjacent runs of one kind, up to a piece of data. */
  async #gather(offset: number): Promise<SourceRun> {
    const most = this.#piece - (this.#o.compress ? offset % this.#piece : 0)
    const first = await this.#lookUp(offset, this.#map.size - offset)
    if (first.kind !== 'data') return first
    let bytes = Math.min(first.bytes, most)
    if (this.#o.compress) return { ...first, bytes: Math.min(this.#wholeUnits(offset, bytes), this.#map.size - offset) }
    while (bytes < most && offset + bytes < this.#map.size) {
      const more = await this.#lookUp(offset + bytes, most - bytes)
      if (more.kind !== 'data') break
      bytes += more.bytes
    }
    return { ...first, bytes }
  }

  /** Compressed targets take whole clusters: a run that ends inside one takes the rest with it. */
  #wholeUnits(offset: number, bytes: number): number {
    const cluster = this.#o.target.compressGranularity!
    const end = offset + bytes
    return end - offset + ((cluster - (end % cluster)) % cluster)
  }

  async #lookUp(offset: number, bytes: number): Promise<SourceRun> {
    if (this.#o.sparse === 0) {
      // Everything is written: nothing counts as zero.
      const run = await this.#map.run(offset, Math.min(bytes, this.#piece))
      return run.kind === 'backing' ? run : { ...run, kind: 'data' }
    }
    const run = await this.#map.run(offset, bytes)
    if (!this.#o.compress || run.kind === 'data') return run
    // The same the other way round: zeroes start at a cluster.
    const cluster = this.#o.target.compressGranularity!
    if (offset + run.bytes === this.#map.size) return run
    const whole = run.bytes - ((offset + run.bytes) % cluster)
    return whole > 0 ? { ...run, bytes: whole } : { ...run, kind: 'data' }
  }

  async #readInto(run: SourceRun, into: Uint8Array): Promise<void> {
    try {
      await this.#map.read(run.offset, into)
    } catch (error) {
      const { onUnreadable } = this.#o
      if (onUnreadable === undefined) throw error
      await this.#salvage(run.offset, into, onUnreadable)
    }
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

  async #write(run: SourceRun, buffer: Uint8Array | null): Promise<void> {
    const { target } = this.#o
    if (run.kind === 'zero') return target.zero(run.offset, run.bytes)
    const bytes = buffer!.subarray(0, run.bytes)
    if (this.#o.compress) return this.#writeCompressed(run.offset, bytes)
    if (this.#o.sparse === 0) return target.write(run.offset, bytes)
    const runs = zeroRuns(bytes, run.offset, this.#unit)
    await allSettledOrThrow(
      runs.map(({ zero, from, to }) => {
        if (!zero) return target.write(run.offset + from, from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to))
        return this.#targetIsZero ? undefined : target.zero(run.offset + from, to - from)
      }),
    )
  }

  async #writeCompressed(offset: number, bytes: Uint8Array): Promise<void> {
    const { target } = this.#o
    const cluster = target.compressGranularity!
    const writes: (Promise<void> | undefined)[] = []
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

/** Waits for all, even if one fails: their buffer is about to be used again. */
async function allSettledOrThrow(promises: readonly (Promise<void> | undefined)[]): Promise<void> {
  if (promises.length === 1) return promises[0]
  for (const result of await Promise.allSettled(promises)) if (result.status === 'rejected') throw result.reason
}
