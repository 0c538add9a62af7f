import { L1_ENTRY_SIZE, l1Copied, l1HasReservedBits, l1Hi, l1Lo, l1TableOffset } from '../on-disk/l1.ts'
import { hexOf } from '../on-disk/integers.ts'
import { entryProblem, markRegion, type Pass } from './pass.ts'
import { USE } from './reference-counts.ts'
import { readTables, type TableContent } from './read-tables.ts'

/** L2 tables that are gathered before they are examined. */
const MAX_GATHERED = 262_144
/** L1 tables are read in pieces of this many bytes. */
const L1_PIECE = 1024 * 1024
/** No image has more; it bounds the work that overlapping tables of snapshots can cause. */
const MAX_L1_ENTRIES = 2 ** 28
/** Tables that are not aligned overlap each other: so many are looked into. */
const MAX_UNALIGNED = 1024

/** An L1 table: where it is, and how many equal ones there are. @internal */
export interface L1Reference {
  readonly offset: number
  readonly entries: number
  /** It is the active one. */
  readonly active: boolean
  readonly times: number
}

/** Called for each L2 table: how often an L1 table names it, how often the active one does, and where it is. @internal */
export type VisitL2 = (table: TableContent, times: number, activeTimes: number, offset: number) => void | Promise<void>

/** What gathering tables needs of a pass. @internal */
export type TablePass = Pick<Pass, 'file' | 'fileLength' | 'geometry' | 'signal' | 'first'> & Partial<Pick<Pass, 'findings' | 'isIncomplete'>>

/**
 * Gathers L2 tables, so that each is examined once however many L1 entries and snapshots share it. It makes the work
 * follow the size of the file, not the product of what points where.
 *
 * @internal
 */
export class L2Tables {
  readonly #pass: TablePass
  readonly #visit: VisitL2
  readonly #index = new Map<number, number>()
  readonly #offsets: number[] = []
  readonly #times: number[] = []
  readonly #activeTimes: number[] = []
  #unaligned = 0
  #entries = 0

  constructor(pass: TablePass, visit: VisitL2) {
    this.#pass = pass
    this.#visit = visit
  }

  /**
   * Goes through an L1 table; `entry` sees each entry that is not zero and returns whether its L2 table counts. Now and
   * then `pause` is called.
   */
  async addL1(l1: L1Reference, entry: (hi: number, lo: number, index: number) => boolean, pause?: () => Promise<void>): Promise<void> {
    const { file, fileLength, findings, first } = this.#pass
    this.#entries += l1.entries
    if (this.#entries > MAX_L1_ENTRIES) {
      this.#pass.isIncomplete = true
      if (first) findings?.failure('ERROR: the snapshots have more L1 entries than can be examined')
      return
    }
    const end = Math.min(l1.offset + l1.entries * L1_ENTRY_SIZE, fileLength)
    const pieces: number[] = []
    for (let at = l1.offset; at < end; at += L1_PIECE) pieces.push(at)
    const source = { file, fileLength, signal: this.#pass.signal }
    await readTables(source, pieces, L1_PIECE, async (piece, table) => {
      if (table === 'empty') return
      if (table === 'unreadable') {
        this.#pass.isIncomplete = true
        if (first) findings?.failure('ERROR: I/O error in check_refcounts_l1')
        return
      }
      const start = (pieces[piece]! - l1.offset) / L1_ENTRY_SIZE
      const count = Math.min(L1_PIECE / L1_ENTRY_SIZE, l1.entries - start)
      for (let i = 0; i < count; i++) {
        const hi = l1Hi(table, i)
        const lo = l1Lo(table, i)
        if (hi === 0 && lo === 0) continue
        if (entry(hi, lo, start + i)) this.#add(l1TableOffset(hi, lo), l1)
      }
      await pause?.()
      if (this.#offsets.length > MAX_GATHERED) await this.finish()
    })
  }

  /** Examines what was gathered. */
  async finish(): Promise<void> {
    const offsets = this.#offsets.splice(0)
    const times = this.#times.splice(0)
    const activeTimes = this.#activeTimes.splice(0)
    this.#index.clear()
    const { file, fileLength, signal, geometry } = this.#pass
    await readTables({ file, fileLength, signal }, offsets, geometry.clusterSize, (index, table) =>
      this.#visit(table, times[index]!, activeTimes[index]!, offsets[index]!),
    )
  }

  #add(offset: number, l1: L1Reference): void {
    let at = this.#index.get(offset)
    if (at === undefined) {
      if (offset % this.#pass.geometry.clusterSize !== 0 && this.#unaligned++ >= MAX_UNALIGNED) {
        // Nobody can read them, so what they name is not in use.
        const { first, findings } = this.#pass
        if (first && this.#unaligned === MAX_UNALIGNED + 1) findings?.failure('ERROR: more L2 tables are misaligned than can be examined')
        return
      }
      at = this.#offsets.length
      this.#index.set(offset, at)
      this.#offsets.push(offset)
      this.#times.push(0)
      this.#activeTimes.push(0)
    }
    this.#times[at]! += l1.times
    if (l1.active) this.#activeTimes[at]! += l1.times
  }
}

/** Counts an L1 table's own clusters and those of the L2 tables that it names, and gathers these. @internal */
export async function countL1(pass: Pass, tables: L2Tables, l1: L1Reference): Promise<void> {
  const { clusterSize } = pass.geometry
  if (l1.entries === 0) return
  markRegion(pass, l1.offset, l1.entries * L1_ENTRY_SIZE, l1.times)
  await tables.addL1(l1, (hi, lo) => {
    if (l1HasReservedBits(hi, lo)) entryProblem(pass, `ERROR found L1 entry with reserved bits set: ${hexOf({ hi, lo })}`, l1.times)
    const offset = l1TableOffset(hi, lo)
    // Only flags, no table: like the reference, the header is taken for one.
    if (offset === 0) pass.mendable = true
    const use = !l1.active || offset === 0 ? USE.plain : l1Copied(hi) ? USE.copied : USE.shared
    if (!pass.marksTables) markRegion(pass, offset, clusterSize, l1.times, use)
    else if (offset < pass.fileLength) pass.counts.add(Math.floor(offset / clusterSize), 1, 0, USE.copied)
    if (offset % clusterSize !== 0) {
      entryProblem(pass, `ERROR l2_offset=${offset.toString(16)}: Table is not cluster aligned; L1 entry corrupted`, l1.times)
    }
    return true
  })
}

