import { BlockError } from '@blockloom/block-driver'
import { L2Tables, type L1Reference, type TablePass } from '../check/l2-tables.ts'
import { reachesTooFar } from '../check/pass.ts'
import { unusableL1 } from '../check/snapshots.ts'
import type { Walk } from '../check/walk.ts'
import { viewOf } from '../on-disk/integers.ts'
import { L1_ENTRY_SIZE, l1Copied, l1Hi, l1Lo, setL1Entry } from '../on-disk/l1.ts'
import { mendedTableOffset, mendL2, type MendContext } from './mend-entries.ts'
import { l1Key, type SharedTables } from './shared-tables.ts'
import type { Spare } from './spare.ts'
import { writeChanged } from './write-changed.ts'

/** Bytes of new places for tables that a repair may take, if the image file is not longer. */
const MOST_COPIED = 64 * 1024 * 1024
/** No image has more L1 entries; it bounds the work that overlapping tables of snapshots can cause. */
const MAX_L1_ENTRIES = 2 ** 28

/** What has to be moved although nothing in it is wrong. @internal */
export interface Forced {
  readonly activeL1: boolean
  /** Host offsets of L2 tables. */
  readonly l2: ReadonlySet<number>
}

/** Where tables are now; nothing on disk leads to the new places yet. @internal */
export interface Moved {
  /** L2 tables: from their old host offset to the new one. */
  readonly l2: ReadonlyMap<number, number>
  /** The active L1 table; null if it stays. */
  readonly activeL1: number | null
  /** L1 tables of snapshots by their {@link l1Key}. */
  readonly snapshotL1s: ReadonlyMap<string, number>
}

/**
 * Mends all L1 and L2 tables.
 *
 * A table that has its clusters for itself is mended where it is, sector by sector, which is flushed. One that shares them
 * with something else, for example an L2 table that is also the header, stays as it is: a mended copy is made behind the
 * end of the file, for which an L1 table that leads there is copied too. These come into force when the header changes.
 *
 * @throws BlockError `corrupt` (EFBIG) if far more overlaps than an accident could cause; tables may have been mended
 * @internal
 */
export async function mendTables(walk: Walk, shared: SharedTables, forced: Forced, spare: Spare): Promise<Moved> {
  const mending = new Mending(walk, shared, forced, spare)
  await mending.l2InPlace()
  await mending.l1InPlace()
  await walk.file.flush('stable')
  return mending.copies()
}

class Mending {
  readonly #walk: Walk
  readonly #context: MendContext
  readonly #shared: SharedTables
  readonly #forced: Forced
  readonly #spare: Spare
  readonly #l1s: readonly L1Reference[]
  readonly #l2Copies = new Map<number, number>()
  readonly #l1Copies: L1Reference[] = []
  #budget: number

  constructor(walk: Walk, shared: SharedTables, forced: Forced, spare: Spare) {
    const { geometry, area, fileLength } = walk
    const { header } = area
    this.#walk = walk
    this.#context = { geometry, version: header.version, externalData: header.features.externalData, fileLength }
    this.#shared = shared
    this.#forced = forced
    this.#spare = spare
    this.#budget = Math.max(MOST_COPIED, fileLength)
    const active = { offset: header.l1Offset, entries: header.l1Entries, active: true, times: 1 }
    this.#l1s = [active, ...usableL1s(walk)]
    for (const offset of forced.l2) this.#copyL2(offset)
  }

  async l2InPlace(): Promise<void> {
    const { geometry, file } = this.#walk
    const tables = new L2Tables(this.#pass(), async (table, _times, _activeTimes, offset) => {
      if (table === 'unreadable' || table === 'empty') return
      const changed = mendL2(this.#context, table)
      if (changed.length === 0) return
      if (this.#shared.l2.has(offset)) this.#copyL2(offset)
      else await writeChanged(file, offset, table, eachEntry(changed, geometry.l2EntrySize))
    })
    for (const l1 of this.#l1s) await tables.addL1(l1, (hi, lo) => mendedTableOffset(this.#context, hi, lo) !== 0)
    await tables.finish()
  }

  async l1InPlace(): Promise<void> {
    for (const l1 of this.#l1s) {
      this.#walk.signal?.throwIfAborted()
      const { table, changed, usesCopies } = await this.#mendedL1(l1)
      const exceeds = reachesTooFar(this.#context, l1.offset, table.byteLength)
      const isForced = l1.active && this.#forced.activeL1
      if (changed.length === 0 && !usesCopies && !exceeds && !isForced) continue
      const isShared = l1.active ? this.#shared.activeL1 : this.#shared.snapshotL1s.has(l1Key(l1))
      if (!isShared && !usesCopies && !exceeds && !isForced) await writeChanged(this.#walk.file, l1.offset, table, eachEntry(changed, L1_ENTRY_SIZE))
      else {
        this.#spend(table.byteLength)
        this.#l1Copies.push(l1)
      }
    }
  }

  async copies(): Promise<Moved> {
    const { file, geometry } = this.#walk
    const { clusterSize } = geometry
    for (const offset of this.#l2Copies.keys()) {
      const bytes = new Uint8Array(clusterSize)
      await file.read(offset, bytes)
      mendL2(this.#context, viewOf(bytes))
      const place = this.#spare.take(1) * clusterSize
      await file.write(place, bytes)
      this.#l2Copies.set(offset, place)
    }
    let activeL1: number | null = null
    const ofSnapshots = new Map<string, number>()
    for (const l1 of this.#l1Copies) {
      const { table } = await this.#mendedL1(l1)
      const place = this.#spare.take(Math.ceil(table.byteLength / clusterSize)) * clusterSize
      await file.write(place, new Uint8Array(table.buffer, table.byteOffset, table.byteLength))
      if (l1.active) activeL1 = place
      else ofSnapshots.set(l1Key(l1), place)
    }
    return { l2: this.#l2Copies, activeL1, snapshotL1s: ofSnapshots }
  }

  /** An L1 table as it should be, with which entries differ; it leads to the copies that have a place. */
  async #mendedL1({ offset, entries }: L1Reference): Promise<{ readonly table: DataView; readonly changed: number[]; readonly usesCopies: boolean }> {
    const { file, fileLength } = this.#walk
    const bytes = new Uint8Array(entries * L1_ENTRY_SIZE)
    const inFile = Math.max(0, Math.min(bytes.length, fileLength - offset))
    if (inFile > 0) await file.read(offset, bytes.subarray(0, inFile))
    const table = viewOf(bytes)
    const changed: number[] = []
    let usesCopies = false
    for (let i = 0; i < entries; i++) {
      const hi = l1Hi(table, i)
      const lo = l1Lo(table, i)
      if (hi === 0 && lo === 0) continue
      const leadsTo = mendedTableOffset(this.#context, hi, lo)
      const copy = this.#l2Copies.get(leadsTo)
      if (copy !== undefined) usesCopies = true
      setL1Entry(table, i, copy ?? leadsTo, leadsTo !== 0 && l1Copied(hi))
      if (l1Hi(table, i) !== hi || l1Lo(table, i) !== lo) changed.push(i)
    }
    return { table, changed, usesCopies }
  }

  #copyL2(offset: number): void {
    if (this.#l2Copies.has(offset)) return
    this.#spend(this.#walk.geometry.clusterSize)
    // It has no place yet.
    this.#l2Copies.set(offset, offset)
  }

  #spend(bytes: number): void {
    this.#budget -= bytes
    if (this.#budget < 0) throw new BlockError('corrupt', 'More metadata overlaps than can be repaired', { errno: 'EFBIG' })
  }

  /** What gathering tables asks of a pass. */
  #pass(): TablePass {
    return { ...this.#walk, first: false }
  }
}

function* eachEntry(indexes: readonly number[], size: number): Generator<number> {
  for (const index of indexes) yield index * size
}

/** The L1 tables of snapshots that can be mended, equal ones once. */
function usableL1s({ snapshots, geometry, fileLength }: Walk): L1Reference[] {
  const found = new Map<string, L1Reference>()
  let entries = 0
  for (const snapshot of snapshots.snapshots) {
    if (unusableL1(snapshot, geometry.clusterSize) !== null || snapshot.l1Offset >= fileLength || snapshot.l1Entries === 0) continue
    const l1 = { offset: snapshot.l1Offset, entries: snapshot.l1Entries, active: false, times: 1 }
    if (found.has(l1Key(l1))) continue
    entries += l1.entries
    if (entries > MAX_L1_ENTRIES) throw new BlockError('corrupt', 'The snapshots have more L1 entries than can be repaired', { errno: 'EFBIG' })
    found.set(l1Key(l1), l1)
  }
  return [...found.values()]
}
