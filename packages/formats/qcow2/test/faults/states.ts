import { applyToModel, type Operation } from '../harness/workload.ts'

/** What a disk holds. */
export interface State {
  readonly bytes: Uint8Array
  readonly snapshots: ReadonlyMap<string, Uint8Array>
}

/** One thing that changes the disk as a whole. */
export type Change =
  | { readonly op: 'create'; readonly name: string; readonly vmState?: number }
  | { readonly op: 'revert' | 'remove'; readonly name: string }
  | { readonly op: 'resize'; readonly size: number; readonly preallocation: 'off' | 'metadata' | 'falloc' | 'full' }

/** The state after a change. */
export function changed(state: State, change: Change): State {
  const snapshots = new Map(state.snapshots)
  switch (change.op) {
    case 'create':
      return { bytes: state.bytes.slice(), snapshots: snapshots.set(change.name, state.bytes) }
    case 'revert':
      return { bytes: state.snapshots.get(change.name)!.slice(), snapshots }
    case 'remove':
      snapshots.delete(change.name)
      return { bytes: state.bytes, snapshots }
    case 'resize': {
      const bytes = new Uint8Array(change.size)
      bytes.set(state.bytes.subarray(0, change.size))
      return { bytes, snapshots }
    }
  }
}

/**
 * What a disk may hold when some requests have failed: every byte is that of `without` the failed requests or that of
 * `with` all of them.
 */
export class Expected {
  without: State
  with: State

  constructor(state: State) {
    this.without = { ...state, bytes: state.bytes.slice() }
    this.with = this.without
  }

  /** A request was acknowledged. */
  done(operation: Operation): void {
    applyToModel(this.without.bytes, operation)
    if (this.with !== this.without) applyToModel(this.with.bytes, operation)
  }

  /** A request failed: its range holds old bytes or new ones. */
  failed(operation: Operation): void {
    if (this.with === this.without) this.with = { ...this.without, bytes: this.without.bytes.slice() }
    applyToModel(this.with.bytes, operation)
  }

  /** What was in doubt has been written again. */
  settled(): void {
    this.without = this.with
  }

  change(change: Change): void {
    const same = this.with === this.without
    this.without = changed(this.without, change)
    this.with = same ? this.without : changed(this.with, change)
  }

  /**
   * The first difference, in words; null if there is none.
   *
   * @param found - names of the snapshots
   * @param read - the disk, or what a snapshot holds; the buffer may be the same each time
   */
  async difference(found: readonly string[], read: (snapshot: string | null) => Promise<Uint8Array>): Promise<string | null> {
    const { without, with: other } = this
    const names = [...without.snapshots.keys()].join()
    if (found.join() !== names) return `the snapshots are ${found.join()}, not ${names}`
    const here = differs(await read(null), without.bytes, other.bytes)
    if (here !== null) return here
    for (const name of found) {
      const there = differs(await read(name), without.snapshots.get(name)!, other.snapshots.get(name)!)
      if (there !== null) return `snapshot ${name}: ${there}`
    }
    return null
  }
}

const STEP = 4096

/** Where bytes are neither one thing nor the other. */
export function differs(found: Uint8Array, one: Uint8Array, other: Uint8Array, from = 0): string | null {
  if (found.length !== one.length) return `${found.length} bytes, not ${one.length}`
  if (Buffer.compare(found, one) === 0) return null
  for (let start = 0; start < found.length; start += STEP) {
    const end = Math.min(found.length, start + STEP)
    if (Buffer.compare(found.subarray(start, end), one.subarray(start, end)) === 0) continue
    for (let i = start; i < end; i++) {
      const byte = found[i]
      if (byte !== one[i] && byte !== other[i]) return `byte ${from + i} is ${byte}, not ${one[i]}${one[i] === other[i] ? '' : ` or ${other[i]}`}`
    }
  }
  return null
}
