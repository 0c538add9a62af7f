import { DONE, type Clock } from '@blockloom/block-driver'
import * as fs from 'node:fs'
import type { Libc } from '../native/libc.ts'
import { isMissing } from '../native/libc.ts'
import type { HostIo } from './host-io.ts'
import { HoleFiller } from './hole-filler.ts'
import { Pacer, READ_PACE, WRITE_PACE } from './pacer.ts'
import { isReadingAhead, ReadAhead } from './read-ahead.ts'
import { readFully, writeAllFully, writeFully } from './threads.ts'
import { TurnBudget } from './turn-budget.ts'
import { isWritingBehind, WriteBehind } from './write-behind.ts'
import { WriteGather } from './write-gather.ts'
import { WriteLane } from './write-lane.ts'

/** Longer reads of what is cached would block this thread for more than about a quarter of a millisecond. */
const SHORT_READ = 2 * 1024 * 1024
/**
 * Writes to one file happen one after the other anyway, under its lock, so that another thread is no gain until this
 * one would be blocked for long: copying this much takes less than half a millisecond.
 */
const SHORT_WRITE = 2 * 1024 * 1024
/** So many turns of the event loop are waited for a device, at most. */
const MOST_TURNS = 8

/**
 * Input and output through the host's page cache. Short requests are done in the same turn where that is a copy
 * of memory: reads of what is cached, and writes while the host takes them without blocking. All others go to
 * Node's threads.
 *
 * @internal
 */
export class BufferedIo implements HostIo {
  readonly #fd: number
  readonly #libc: Libc | null
  readonly #budget = new TurnBudget()
  readonly #lane = new WriteLane(1)
  readonly #gather = new WriteGather({
    now: (offset, from) => this.#writeQuickly(offset, from),
    batch: (offset, buffers) => this.#writeBatch(offset, buffers),
    single: (offset, from) => this.#writeElsewhere(offset, from, 0),
  })
  /** Not before the first write: files that are only read do without. */
  #filler: HoleFiller | null | undefined
  readonly #reads: Pacer
  readonly #writes: Pacer
  #nowait: boolean
  #patience = MOST_TURNS
  readonly #ahead: ReadAhead | null
  readonly #behind: WriteBehind | null

  constructor(fd: number, libc: Libc | null, clock: Clock) {
    this.#fd = fd
    this.#libc = libc
    this.#nowait = libc !== null
    this.#ahead = libc?.aio ? new ReadAhead(fd, libc, libc.aio) : null
    this.#behind = libc?.aio ? new WriteBehind(fd, libc.aio, (offset, from, done) => this.#writeElsewhere(offset, from, done)) : null
    this.#reads = new Pacer(READ_PACE, clock)
    this.#writes = new Pacer(WRITE_PACE, clock)
  }

  attach(clock: Clock): void {
    this.#reads.clock = clock
    this.#writes.clock = clock
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    if (into.length > SHORT_READ) return readFully(this.#fd, offset, into, 0)
    // There is one thread for all that: what it writes this one can read meanwhile.
    const reading = this.#ahead === null || isWritingBehind(into.length) ? null : this.#ahead.read(offset, into)
    return reading ?? this.#readHere(offset, into)
  }

  #readHere(offset: number, into: Uint8Array): Promise<void> {
    if (!this.#budget.spend(into.length)) return this.#budget.turn().then(() => this.#readHere(offset, into))
    if (!this.#nowait) return this.#readQuickly(offset, into)
    const done = this.#readCached(offset, into)
    return done === into.length ? DONE : this.#awaitCached(offset, into, done)
  }

  write(offset: number, from: Uint8Array): Promise<void> {
    if (from.length > SHORT_WRITE) return this.#writeElsewhere(offset, from, 0)
    const writing = this.#behind?.write(offset, from)
    if (writing) return writing
    if (this.#gather.continues(offset, from.length) && !isReadingAhead(from.length)) return this.#gather.add(offset, from)
    return this.#writeHere(offset, from)
  }

  #writeHere(offset: number, from: Uint8Array): Promise<void> {
    if (!this.#budget.spend(from.length)) return this.#budget.turn().then(() => this.#writeHere(offset, from))
    return this.#writeQuickly(offset, from)
  }

  #writeQuickly(offset: number, from: Uint8Array): Promise<void> {
    let done = 0
    try {
      done = this.#writes.attempt(() => this.#writeNow(offset, from), from.length) ?? 0
    } catch {
      // A thread meets the same error and reports it.
    }
    return done === from.length ? DONE : this.#writeElsewhere(offset, from, done)
  }

  #writeElsewhere(offset: number, from: Uint8Array, done: number): Promise<void> {
    return this.#lane.run(() => writeFully(this.#fd, offset, from, done))
  }

  #writeBatch(offset: number, buffers: readonly Uint8Array[]): Promise<void> {
    return this.#lane.run(() => {
      this.#fillHole(offset, buffers.reduce((sum, buffer) => sum + buffer.length, 0))
      return writeAllFully(this.#fd, offset, buffers)
    })
  }

  #fillHole(offset: number, bytes: number): void {
    if (this.#filler === undefined) this.#filler = HoleFiller.for(this.#fd, this.#libc)
    this.#filler?.before(offset, bytes)
  }

  #writeNow(offset: number, from: Uint8Array): number {
    this.#fillHole(offset, from.length)
    return fs.writeSync(this.#fd, from, 0, from.length, offset)
  }

  /** Bytes that are in `into` now. */
  #readCached(offset: number, into: Uint8Array): number {
    const result = this.#libc!.preadNowait(this.#fd, into, offset)
    if (result > 0) return result
    if (result === 0) {
      // Not "nothing yet", which is an error, but the end of the file.
      into.fill(0)
      return into.length
    }
    if (isMissing(result)) this.#nowait = false
    // Real errors are met again, and reported, by a thread.
    return 0
  }

  /**
   * The attempt to read what is not cached made the host begin to read it. A fast device is done within a few turns,
   * sooner than a thread gets to it; and more requests than there are threads are with the device at a time.
   */
  async #awaitCached(offset: number, into: Uint8Array, done: number): Promise<void> {
    let at = done
    for (let turns = this.#patience; turns > 0 && this.#nowait; turns--) {
      await this.#budget.turn()
      at += this.#readCached(offset + at, at === 0 ? into : into.subarray(at))
      if (at < into.length) continue
      this.#patience = Math.min(this.#patience + 1, MOST_TURNS)
      return
    }
    this.#patience = Math.max(this.#patience - 1, 1)
    await readFully(this.#fd, offset, into, at)
  }

  #readQuickly(offset: number, into: Uint8Array): Promise<void> {
    let done = 0
    try {
      done = this.#reads.attempt(() => fs.readSync(this.#fd, into, 0, into.length, offset), into.length) ?? 0
    } catch {
      // A thread meets the same error and reports it.
    }
    return done === into.length ? DONE : readFully(this.#fd, offset, into, done)
  }
}
