import { BlockError, limits, type ChildHandle, type Extent, type FlushScope, type Limits, type ResizeOptions, RequestFlag } from '@blockloom/block-driver'
import type { Audit } from '../bench/audit.ts'
import { hops } from '../bench/hops.ts'
import { firstDifference } from '../model/difference.ts'
import type { Random } from '../model/random.ts'
import { sectors, type Change, type DiskFile, type LogEntry } from './disk-file.ts'
import { CHANGES, type Faults, type RequestKind } from './faults.ts'

/** Longest single transfer that a driver may ask for: more smells of a length taken from a header. @internal */
export const MOST_BYTES = 64 * 1024 * 1024

/** What discarded bytes of the kit's child may read as. @internal */
export const GARBAGE = 0xdd

/** One request that a driver made. @internal */
export interface Recorded {
  readonly child: string
  readonly kind: RequestKind
  readonly offset: number
  readonly bytes: number
}

/** What all children of one opened image share. @internal */
export interface ChildWorld {
  readonly audit: Audit
  readonly faults: Faults
  readonly random: Random
  readonly recorded: Recorded[]
  /** Reads are overtaken by everything else. */
  slowReads: boolean
  /** Called when a request that changes or settles a file has taken effect. */
  changed: () => void
}

/** How a child is attached. @internal */
export interface ChildInit {
  readonly name: string
  readonly file: DiskFile
  readonly writable: boolean
  readonly requestAlignment: number
  readonly zeroInit: boolean
}

/**
 * The child that the kit puts below a driver: in memory, sparse, settling in a seeded order, failing where told,
 * and watching that the driver keeps to its permissions and lifetime.
 *
 * @internal
 */
export class RecordingChild implements ChildHandle {
  readonly name: string
  readonly nodeName: string
  readonly limits: Limits
  readonly writable: boolean
  readonly zeroInit: boolean
  readonly file: DiskFile
  readonly #world: ChildWorld
  #inFlight = 0
  #closed = false

  constructor(world: ChildWorld, init: ChildInit) {
    this.#world = world
    this.name = init.name
    this.nodeName = `#child-${init.name}`
    this.file = init.file
    this.writable = init.writable
    this.zeroInit = init.zeroInit
    this.limits = limits({ requestAlignment: init.requestAlignment })
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** From now on any request is a breach. */
  detach(): void {
    this.#closed = true
  }

  size(): number {
    if (this.#closed) this.#world.audit.breach(`asked child '${this.name}' for its size after close`)
    return this.file.visible.size
  }

  read(offset: number, into: Uint8Array, _flags = 0): Promise<void> {
    return this.#request('read', offset, into.length, () => this.file.visible.read(offset, into), () => {
      // A read that fails has often filled a part.
      into.subarray(0, Math.ceil(into.length / 2)).fill(0xee)
    })
  }

  write(offset: number, from: Uint8Array, flags = 0): Promise<void> {
    const data = from.slice()
    return this.#change('write', offset, data.length, flags, () => {
      if (firstDifference(from, data) >= 0) {
        this.#world.audit.breach(`changed the buffer of a write to child '${this.name}' at ${offset} while it was in flight`)
      }
      return { kind: 'write', offset, data }
    })
  }

  zero(offset: number, bytes: number, flags = 0): Promise<void> {
    return this.#change('zero', offset, bytes, flags, () => ({ kind: 'fill', offset, bytes, value: 0 }))
  }

  discard(offset: number, bytes: number): Promise<void> {
    return this.#change('discard', offset, bytes, 0, () => {
      const within = Math.max(0, Math.min(bytes, this.file.visible.size - offset))
      // What discarded bytes read as is not defined: be as nasty as a host may be.
      const value = this.#world.random.pick([0, GARBAGE])
      return { kind: 'fill', offset: Math.min(offset, this.file.visible.size), bytes: within, value }
    })
  }

  resize(size: number, options: ResizeOptions = {}): Promise<void> {
    const zeroFill = options.zeroFill ?? true
    return this.#change('resize', size, 0, 0, () => ({ kind: 'resize', size }), zeroFill || this.zeroInit)
  }

  flush(scope: FlushScope): Promise<void> {
    const pending = this.file.acknowledged()
    return this.#request('flush', 0, 0, () => {
      if (scope === 'stable') this.file.settle(pending)
    })
  }

  extents(offset: number, bytes: number): Promise<Extent> {
    return this.#request('extents', offset, bytes, () => {
      const run = this.file.visible.run(offset, bytes)
      return run.held ? { kind: 'data', bytes: run.bytes, host: { child: null, offset } } : { kind: 'zero', bytes: run.bytes }
    })
  }

  async allocatedSize(): Promise<number> {
    return this.file.visible.allocated
  }

  #change(kind: RequestKind, offset: number, bytes: number, flags: number, make: () => Change, gapReadsAsZeroes = this.zeroInit): Promise<void> {
    if (!this.writable) {
      this.#world.audit.breach(`${kind} at ${offset} of child '${this.name}', which it may not write to`)
      return Promise.reject(new BlockError('read-only', `Block node '${this.nodeName}' is read-only`))
    }
    let entry: LogEntry | undefined
    const effect = () => {
      const before = this.file.visible.size
      const change = make()
      const start = change.kind === 'resize' ? change.size : change.offset
      if (!gapReadsAsZeroes && start > before) this.file.change({ kind: 'fill', offset: before, bytes: start - before, value: 0xdb })
      entry = this.file.change(change)
    }
    const torn = () => {
      for (const part of sectors(make(), this.#world.random)) this.file.change(part)
    }
    return this.#request(kind, offset, bytes, effect, undefined, torn).then(() => {
      entry!.acknowledged = true
      if (flags & RequestFlag.FUA) this.file.settle([entry!])
    })
  }

  async #request<T>(kind: RequestKind, offset: number, bytes: number, effect: () => T, spoil?: () => void, torn?: () => void): Promise<T> {
    const { audit, faults, random, recorded } = this.#world
    const what = `${kind} (${offset}, ${bytes}) of child '${this.name}'`
    if (this.#closed) {
      audit.breach(`${what} after close`)
      throw new BlockError('closed', `${what} after close`)
    }
    if (!Number.isSafeInteger(offset) || offset < 0 || !Number.isSafeInteger(offset + bytes)) {
      audit.breach(`${what} is not a range`)
      throw new BlockError('range', `${what} is not a range`)
    }
    if (bytes > MOST_BYTES && (kind === 'read' || kind === 'write')) audit.breach(`${what} is longer than ${MOST_BYTES}`)
    recorded.push({ child: this.name, kind, offset, bytes })
    const fault = faults.strike(kind, this.name)
    this.#inFlight++
    try {
      if (fault) {
        // At once, so that other requests of the driver are still in flight.
        spoil?.()
        if (fault.torn) torn?.()
        throw fault.error
      }
      // Now and then one is overtaken by everything else, by flushes too.
      await hops(random.oneIn(16) || (kind === 'read' && this.#world.slowReads) ? random.int(400) : random.int(faults.armed ? 40 : 6))
      const result = effect()
      if (CHANGES.includes(kind)) this.#world.changed()
      await hops(random.int(4))
      return result
    } finally {
      this.#inFlight--
    }
  }
}
