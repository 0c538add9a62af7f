import type { Random } from '../model/random.ts'
import { SparseBytes } from './sparse-bytes.ts'

/** The unit that a disk writes whole or not at all. @internal */
export const SECTOR = 512

/** One change of a file. @internal */
export type Change =
  | { readonly kind: 'write'; readonly offset: number; readonly data: Uint8Array }
  | { readonly kind: 'fill'; readonly offset: number; readonly bytes: number; readonly value: number }
  | { readonly kind: 'resize'; readonly size: number }

/** A change that power loss may undo. @internal */
export interface LogEntry {
  readonly change: Change
  /** The request has returned. */
  acknowledged: boolean
  /** On stable storage. */
  stable: boolean
}

/** What a power loss does with changes that were not flushed; `newest`: keeps only the last one. @internal */
export type CrashStyle = 'drop-all' | 'keep-all' | 'newest' | 'subset' | 'torn'

/**
 * A file as a host with a volatile write cache holds it: what reads see, what is on stable storage, and the
 * changes in between.
 *
 * @internal
 */
export class DiskFile {
  readonly visible: SparseBytes
  readonly #base: SparseBytes
  #log: LogEntry[] = []

  constructor(content: SparseBytes = new SparseBytes()) {
    this.visible = content
    this.#base = content.clone()
  }

  /** Changes what reads see; survives power loss only after `settle`. */
  change(change: Change): LogEntry {
    apply(this.visible, change)
    const entry: LogEntry = { change, acknowledged: false, stable: false }
    this.#log.push(entry)
    return entry
  }

  /** The changes that a flush starting now makes stable. */
  acknowledged(): LogEntry[] {
    return this.#log.filter((entry) => entry.acknowledged && !entry.stable)
  }

  settle(entries: readonly LogEntry[]): void {
    for (const entry of entries) entry.stable = true
    let prefix = 0
    while (prefix < this.#log.length && this.#log[prefix]!.stable) apply(this.#base, this.#log[prefix++]!.change)
    this.#log = this.#log.slice(prefix)
  }

  /** All that was written is stable, as after a clean shutdown of the host. */
  clone(): DiskFile {
    return new DiskFile(this.visible.clone())
  }

  /** The file after power loss now. */
  crash(style: CrashStyle, random: Random): DiskFile {
    const content = this.#base.clone()
    // Now most are kept, now few.
    const odds = random.pick([2, 4, 8])
    const keep = random.oneIn(2)
    for (const entry of this.#log) {
      if (entry.stable || style === 'keep-all' || (style === 'newest' && entry === this.#log.at(-1))) apply(content, entry.change)
      else if (style === 'subset' && random.oneIn(odds) !== keep) apply(content, entry.change)
      else if (style === 'torn') tear(content, entry.change, random)
    }
    return new DiskFile(content)
  }
}

function apply(to: SparseBytes, change: Change): void {
  if (change.kind === 'write') to.write(change.offset, change.data)
  else if (change.kind === 'fill') to.fill(change.offset, change.bytes, change.value)
  else to.resize(change.size)
}

/** Applies some of the change's sectors. @internal */
export function tear(to: SparseBytes, change: Change, random: Random): void {
  for (const part of sectors(change, random)) apply(to, part)
}

/** Some of a change's sectors, as a write that was cut off leaves them. @internal */
export function sectors(change: Change, random: Random): Change[] {
  if (change.kind === 'resize') return random.oneIn(2) ? [change] : []
  const out: Change[] = []
  const end = change.offset + (change.kind === 'write' ? change.data.length : change.bytes)
  const dice = random.int(4)
  for (let at = change.offset; at < end; ) {
    const next = Math.min((Math.floor(at / SECTOR) + 1) * SECTOR, end)
    if (dice === 0 || (dice > 1 && random.oneIn(2))) {
      out.push(change.kind === 'write'
        ? { kind: 'write', offset: at, data: change.data.subarray(at - change.offset, next - change.offset) }
        : { kind: 'fill', offset: at, bytes: next - at, value: change.value })
    }
    at = next
  }
  return out
}
