import { BlockError, DONE, MAX_IMAGE_SIZE, RequestFlag, type Extent, type FlushScope, type ResizeOptions } from '@blockloom/block-driver'
import type { WriteRecorder } from '../dirty-bitmaps/write-recorder.ts'
import { discardRange } from '../emulate/discard.ts'
import { readUnaligned, writeUnaligned } from '../emulate/unaligned.ts'
import { zeroRange } from '../emulate/zero.ts'
import type { Plan } from '../node/plan.ts'
import { isZero } from './detect-zeroes.ts'
import { FlushQueue } from './flush-queue.ts'
import { InFlight } from './in-flight.ts'
import { inPieces } from './split.ts'
import { RequestTracker, type RequestKind, type TrackedRequest } from './tracker.ts'

/** A write that is about to happen. @public */
export interface WriteNotice {
  readonly kind: Exclude<RequestKind, 'read'>
  readonly offset: number
  readonly bytes: number
}

/** Called before each write, after overlap waits; may delay it, or fail it by throwing. @public */
export type BeforeWrite = (notice: WriteNotice) => void | Promise<void>

/** Looks at a write into the head of an image; refuses it by throwing. @internal */
export type HeadGuard = (offset: number, from: Uint8Array) => Promise<void>

/** Settings of a node that its requests obey. @public */
export interface RequestSettings {
  readonly nodeName: string
  readonly detectZeroes: 'off' | 'on' | 'unmap'
  /** False: discards are dropped and zeroing must not unmap. */
  readonly unmap: boolean
}

/**
 * The request pipeline of one node, below its public face: overlap waits, alignment, zero detection, splitting,
 * the driver's hook, then bookkeeping. The common case (aligned, nothing serialising, no notifier) is a straight
 * line to the hook.
 *
 * @internal
 */
export class Requests {
  readonly inFlight = new InFlight()
  /** Told of every change; null while there is no dirty bitmap. */
  recorder: WriteRecorder | null = null
  readonly #tracker = new RequestTracker()
  readonly #flushes = new FlushQueue()
  readonly #settings: RequestSettings
  readonly #notifiers = new Set<BeforeWrite>()
  #plan: Plan
  #size: number
  #serialisers = 0
  /** Writes that start below this are shown to the guard first. */
  #guardEnd = 0
  #guard: HeadGuard | null = null
  #straightRead = false
  #straightWrite = false

  constructor(plan: Plan, size: number, settings: RequestSettings) {
    this.#plan = plan
    this.#size = size
    this.#settings = settings
    this.#straighten()
  }

  get size(): number {
    return this.#size
  }

  set size(size: number) {
    if (size === this.#size) return
    this.#size = size
    if (this.recorder !== null) this.recorder.resized(size)
  }

  get plan(): Plan {
    return this.#plan
  }

  set plan(plan: Plan) {
    this.#plan = plan
    this.#straighten()
  }

  get dirty(): boolean {
    return this.#flushes.dirty
  }

  /** Something below changed by other means than a request here (a facet wrote metadata). */
  changed(): void {
    this.#flushes.changed()
    if (this.recorder !== null) this.recorder.touched()
  }

  beforeWrite(notifier: BeforeWrite): () => void {
    this.#notifiers.add(notifier)
    this.#straighten()
    return () => {
      this.#notifiers.delete(notifier)
      this.#straighten()
    }
  }

  /** Shows every write of data that starts below `end` to `guard` before it happens. */
  guardHead(end: number, guard: HeadGuard): void {
    this.#guardEnd = end
    this.#guard = guard
  }

  /** From here on requests are tracked, so that serialising ones can wait for them. The caller has drained. */
  addSerialiser(): () => void {
    this.#serialisers++
    this.#straighten()
    return () => {
      this.#serialisers--
      this.#straighten()
    }
  }

  #straighten(): void {
    const { limits } = this.#plan
    this.#straightRead = limits.requestAlignment === 1 && this.#serialisers === 0
    this.#straightWrite = this.#straightRead && this.#notifiers.size === 0 && this.#settings.detectZeroes === 'off'
  }

  read(offset: number, into: Uint8Array, flags: number): Promise<void> {
    if (into.length === 0) return DONE
    this.inFlight.enter()
    let reading: Promise<void>
    try {
      const straight = this.#straightRead && offset + into.length <= this.#size && into.length <= this.#plan.limits.maxTransfer
      reading = straight ? this.#plan.read(offset, into, 0) : this.#readSlow(offset, into, flags)
    } catch (error) {
      reading = Promise.reject(error)
    }
    if (reading !== DONE) return reading.then(this.#ended, this.#failed)
    this.inFlight.leave()
    return DONE
  }

  /** A read ended. Not an async function: those take four times the memory, for each read of each node. */
  readonly #ended = (): void => this.inFlight.leave()

  readonly #failed = (error: unknown): never => {
    this.inFlight.leave()
    throw error
  }

  async #readSlow(offset: number, into: Uint8Array, flags: number): Promise<void> {
    const inside = Math.max(0, Math.min(into.length, this.#size - offset))
    // Past the end there is nothing: zeroes, whatever the driver's buffer held.
    if (inside < into.length) into.fill(0, inside)
    if (inside === 0) return
    const request = await this.#track('read', offset, inside, (flags & RequestFlag.SERIALISING) !== 0, 1)
    try {
      const plan = this.#plan
      const part = inside === into.length ? into : into.subarray(0, inside)
      if (this.#aligned(offset, inside)) {
        await inPieces(offset, inside, plan.limits.maxTransfer, (at, n, done) =>
          plan.read(at, n === inside ? part : part.subarray(done, done + n), 0),
        )
      } else {
        await readUnaligned(plan, offset, part, 0)
      }
    } finally {
      if (request !== null) this.#tracker.end(request)
    }
  }

  write(offset: number, from: Uint8Array, flags: number): Promise<void> {
    if (from.length === 0) return DONE
    this.inFlight.enter()
    const plan = this.#plan
    let writing: Promise<void>
    try {
      const straight = this.#straightWrite && offset >= this.#guardEnd && from.length <= plan.limits.maxTransfer && (flags & RequestFlag.SERIALISING) === 0
      writing = straight && plan.write !== null ? plan.write(offset, from, flags & plan.honours) : this.#writeGuarded(offset, from, flags)
    } catch (error) {
      writing = Promise.reject(error)
    }
    const flush = (flags & RequestFlag.FUA) !== 0 && (plan.honours & RequestFlag.FUA) === 0
    if (writing !== DONE || flush) return this.#written(writing, offset, from.length, flush)
    this.#wrote(offset, from.length)
    this.inFlight.leave()
    return DONE
  }

  async #writeGuarded(offset: number, from: Uint8Array, flags: number): Promise<void> {
    if (this.#plan.write === null) throw this.#readOnly()
    if (offset < this.#guardEnd) await this.#guard!(offset, from)
    await this.#writeSlow(offset, from, flags)
  }

  async #written(writing: Promise<void>, offset: number, bytes: number, flush: boolean): Promise<void> {
    try {
      await writing
      this.#wrote(offset, bytes)
      if (flush) await this.flush('stable')
    } catch (error) {
      // A failed write may have changed something.
      this.#mayHaveChanged(offset, bytes)
      throw error
    } finally {
      this.inFlight.leave()
    }
  }

  async #writeSlow(offset: number, from: Uint8Array, flags: number): Promise<void> {
    const aligned = this.#aligned(offset, from.length)
    const serialising = !aligned || (flags & RequestFlag.SERIALISING) !== 0
    const request = await this.#track('write', offset, from.length, serialising, this.#plan.limits.requestAlignment)
    try {
      await this.#notify('write', offset, from.length)
      const { detectZeroes, unmap } = this.#settings
      if (detectZeroes !== 'off' && from.length > 0 && isZero(from)) {
        const more = detectZeroes === 'unmap' && unmap ? RequestFlag.MAY_UNMAP : 0
        await zeroRange(this.#zeroTarget(serialising), offset, from.length, flags | more)
      } else {
        await this.#writeTracked(offset, from, flags)
      }
    } finally {
      if (request !== null) this.#tracker.end(request)
    }
  }

  /** The caller holds whatever waits are needed. */
  async #writeTracked(offset: number, from: Uint8Array, flags: number): Promise<void> {
    const plan = this.#plan
    const honoured = flags & plan.honours
    if (!this.#aligned(offset, from.length)) {
      await writeUnaligned(plan, offset, from, honoured)
      return
    }
    await inPieces(offset, from.length, plan.limits.maxTransfer, (at, n, done) =>
      plan.write!(at, n === from.length ? from : from.subarray(done, done + n), honoured),
    )
  }

  async zero(offset: number, bytes: number, flags: number): Promise<void> {
    if (bytes === 0) return
    this.inFlight.enter()
    try {
      if (this.#plan.write === null) throw this.#readOnly()
      const aligned = this.#aligned(offset, bytes)
      const request = await this.#track('zero', offset, bytes, !aligned || (flags & RequestFlag.SERIALISING) !== 0, this.#plan.limits.requestAlignment)
      try {
        await this.#notify('zero', offset, bytes)
        await zeroRange(this.#zeroTarget(!aligned), offset, bytes, this.#settings.unmap ? flags : flags & ~RequestFlag.MAY_UNMAP)
      } finally {
        if (request !== null) this.#tracker.end(request)
      }
      this.#wrote(offset, bytes)
      if (flags & RequestFlag.FUA && !(this.#plan.honours & RequestFlag.FUA)) await this.flush('stable')
    } catch (error) {
      this.#mayHaveChanged(offset, bytes)
      throw error
    } finally {
      this.inFlight.leave()
    }
  }

  async discard(offset: number, bytes: number): Promise<void> {
    if (!this.#settings.unmap) return
    this.inFlight.enter()
    try {
      if (this.#plan.write === null) throw this.#readOnly()
      const n = Math.min(bytes, this.#size - offset)
      if (n <= 0) return
      const request = await this.#track('discard', offset, n, false, 1)
      try {
        await this.#notify('discard', offset, n)
        await discardRange(this.#plan, this.#size, offset, n)
      } finally {
        if (request !== null) this.#tracker.end(request)
        if (this.#plan.discard !== null) this.#mayHaveChanged(offset, n)
      }
    } finally {
      this.#flushes.changed()
      this.inFlight.leave()
    }
  }

  /** One compressed cluster (or the rest of the image). */
  async writeCompressed(offset: number, from: Uint8Array): Promise<void> {
    const { compress } = this.#plan
    if (compress === null) throw new BlockError('unsupported', 'Compression not supported for this file format', { detail: { node: this.#settings.nodeName } })
    if (from.length === 0) return
    this.inFlight.enter()
    try {
      const request = await this.#track('write', offset, from.length, false, 1)
      try {
        await this.#notify('write', offset, from.length)
        await compress.write(offset, from)
      } finally {
        if (request !== null) this.#tracker.end(request)
      }
    } finally {
      this.#mayHaveChanged(offset, from.length)
      this.inFlight.leave()
    }
  }

  async flush(scope: FlushScope): Promise<void> {
    const { flush } = this.#plan
    if (flush === null) return
    this.inFlight.enter()
    try {
      await this.#flushes.flush(scope, flush)
    } finally {
      this.inFlight.leave()
    }
  }

  /** The driver's own answer, clipped to what was asked. Past the end: zeroes. */
  extents(offset: number, bytes: number): Extent | Promise<Extent> {
    if (offset >= this.#size) return { kind: 'zero', bytes }
    const n = Math.min(bytes, this.#size - offset)
    const { extents, limits } = this.#plan
    if (extents === null) return { kind: 'data', bytes: n }
    const skew = offset % limits.requestAlignment
    try {
      const extent = extents(offset - skew, skew === 0 ? n : n + skew)
      return extent instanceof Promise ? this.#extentLater(extent, skew, n) : clip(extent, skew, n)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async #extentLater(asked: Promise<Extent>, skew: number, most: number): Promise<Extent> {
    this.inFlight.enter()
    try {
      return clip(await asked, skew, most)
    } finally {
      this.inFlight.leave()
    }
  }

  /** Runs alone: later requests wait for it, and it for earlier ones. */
  async resize(size: number, options: ResizeOptions): Promise<void> {
    const { resize } = this.#plan
    if (resize === null || this.#plan.write === null) {
      throw new BlockError('unsupported', 'Image format driver does not support resize', { detail: { node: this.#settings.nodeName } })
    }
    const preallocation = options.preallocation ?? 'off'
    if (!resize.preallocations.includes(preallocation)) {
      throw new BlockError('unsupported', `Unsupported preallocation mode: ${preallocation}`, { detail: { option: 'preallocation' } })
    }
    if (!Number.isSafeInteger(size) || size < 0 || size > MAX_IMAGE_SIZE) {
      throw new BlockError('range', `The new size ${size} is outside 0 ... ${MAX_IMAGE_SIZE}`, { errno: 'EFBIG' })
    }
    if (this.recorder !== null) this.recorder.assertResizable()
    this.inFlight.enter()
    try {
      await this.#notify('resize', Math.min(size, this.#size), Math.abs(size - this.#size))
      await resize.resize(size, { preallocation, zeroFill: options.zeroFill ?? true })
      this.size = await this.#plan.size()
    } finally {
      this.changed()
      this.inFlight.leave()
    }
  }

  #aligned(offset: number, bytes: number): boolean {
    const align = this.#plan.limits.requestAlignment
    return align === 1 || (offset % align === 0 && bytes % align === 0)
  }

  async #track(kind: RequestKind, offset: number, bytes: number, serialising: boolean, align: number): Promise<TrackedRequest | null> {
    if (this.#straightRead && !serialising) return null
    const request = this.#tracker.begin(kind, offset, bytes)
    if (serialising) await this.#tracker.serialise(request, align)
    else await this.#tracker.wait(request)
    return request
  }

  async #notify(kind: WriteNotice['kind'], offset: number, bytes: number): Promise<void> {
    for (const notifier of [...this.#notifiers]) await notifier({ kind, offset, bytes })
  }

  #wrote(offset: number, bytes: number): void {
    if (offset + bytes > this.#size) this.size = offset + bytes
    this.#mayHaveChanged(offset, bytes)
  }

  /** Bitmaps are told when a request ends: who cleans a bit before and reads then may have read what was there before. */
  #mayHaveChanged(offset: number, bytes: number): void {
    this.#flushes.changed()
    if (this.recorder !== null) this.recorder.changed(offset, bytes)
  }

  /** `covered`: the request in hand already serialises whole blocks, so ragged pieces need no further waits. */
  #zeroTarget(covered: boolean) {
    return {
      plan: this.#plan,
      size: this.#size,
      writeAnywhere: async (offset: number, from: Uint8Array, flags: number) => {
        if (covered || this.#aligned(offset, from.length)) await this.#writeTracked(offset, from, flags)
        else await writeUnaligned(this.#plan, offset, from, flags & this.#plan.honours)
      },
    }
  }

  #readOnly(): BlockError {
    return new BlockError('read-only', `Block node '${this.#settings.nodeName}' is read-only`, { errno: 'EPERM', detail: { node: this.#settings.nodeName } })
  }
}

function clip(extent: Extent, skip: number, most: number): Extent {
  if (skip === 0 && extent.bytes <= most) return extent
  const bytes = Math.min(extent.bytes - skip, most)
  if ((extent.kind === 'data' || extent.kind === 'zero') && extent.host !== undefined) {
    return { kind: extent.kind, bytes, host: { child: extent.host.child, offset: extent.host.offset + skip } }
  }
  return { ...extent, bytes }
}
