import { hexOf } from '../on-disk/integers.ts'
import { l1Copied, l1TableOffset } from '../on-disk/l1.ts'
import { classifyCluster, l2Copied, l2HostOffset, withCopied } from '../on-disk/l2.ts'
import type { Findings } from './findings.ts'
import { L2Tables } from './l2-tables.ts'
import type { Pass } from './pass.ts'
import { ReferenceCounts } from './reference-counts.ts'
import type { RefcountReader } from './refcount-reader.ts'

/** How COPIED flags are put right. @internal */
export interface CopiedFixer {
  /** May the active L1 table be changed? */
  readonly mayChangeL1: () => boolean
  /** May the L2 table at `offset` be changed? */
  readonly mayChangeL2: (offset: number) => boolean
  /** The flags of these L1 entries are to be turned over. */
  readonly changeL1: (indexes: readonly number[]) => Promise<void>
  /** In the table at `offset`, these entries have been changed. */
  readonly changedL2: (offset: number, table: DataView, indexes: readonly number[]) => Promise<void>
}

/**
 * Checks that COPIED is set in the active tables if and only if the refcount is one. It is the image's refcount that
 * counts, right or wrong. The counters must be those that `compareRefcounts` left.
 *
 * @internal
 */
export async function checkCopiedFlags(pass: Pass, reader: RefcountReader, findings: Findings, fixer?: CopiedFixer): Promise<void> {
  const { l1Offset, l1Entries } = pass.area.header
  const flags = new CopiedFlags(pass, reader, findings, fixer)
  const tables = new L2Tables(pass, (table, _times, activeTimes, offset) =>
    table === 'empty' || table === 'unreadable' ? undefined : flags.l2(table, activeTimes, offset),
  )
  const wrong: number[] = []
  await tables.addL1(
    { offset: l1Offset, entries: l1Entries, active: true, times: 1 },
    (hi, lo, index) => flags.l1(hi, lo, index),
    async () => {
      for (const index of await flags.settle()) wrong.push(index)
    },
  )
  if (wrong.length > 0) await fixer!.changeL1(wrong)
  await tables.finish()
  await flags.settle()
}

/** An entry that needs a look at the refcount itself. */
interface Suspect {
  readonly cluster: number
  readonly copied: boolean
  readonly times: number
  readonly what: () => string
  /** Its place in its table. */
  readonly index: number
  readonly fixable: boolean
}

/** So many are collected before they are looked at. */
const MANY = 4096

class CopiedFlags {
  readonly #pass: Pass
  readonly #reader: RefcountReader
  readonly #findings: Findings
  readonly #fixer: CopiedFixer | undefined
  readonly #suspects: Suspect[] = []

  constructor(pass: Pass, reader: RefcountReader, findings: Findings, fixer: CopiedFixer | undefined) {
    this.#pass = pass
    this.#reader = reader
    this.#findings = findings
    this.#fixer = fixer
  }

  l1(hi: number, lo: number, index: number): boolean {
    const offset = l1TableOffset(hi, lo)
    if (offset === 0) return false
    const { refcountBlockCoverage } = this.#pass.geometry
    // Like the reference: a table whose refcount cannot be told is not looked into.
    if (this.#reader.isUnreadable(Math.floor(offset / refcountBlockCoverage))) return false
    const copied = l1Copied(hi)
    this.#check(offset, copied, 1, index, this.#fixer?.mayChangeL1() ?? false, () => `OFLAG_COPIED L2 cluster: l1_index=${index} l1_entry=${hexOf({ hi, lo })}`)
    return true
  }

  l2(table: DataView, times: number, offset: number): Promise<void> | undefined {
    const { geometry, area, first } = this.#pass
    const { l2EntrySize, l2Entries, extendedL2 } = geometry
    const { externalData } = area.header.features
    const context = { extendedL2, externalData }
    const fixable = this.#fixer?.mayChangeL2(offset) ?? false
    const wrong: number[] = []
    for (let index = 0; index < l2Entries; index++) {
      const hi = table.getUint32(index * l2EntrySize)
      const lo = table.getUint32(index * l2EntrySize + 4)
      if (hi === 0 && lo === 0) continue
      const kind = classifyCluster(context, hi, lo)
      if (kind !== 'normal' && kind !== 'zero-alloc') continue
      const what = (): string => `OFLAG_COPIED data cluster: l2_entry=${hexOf({ hi, lo })}`
      // An external data file has no refcounts: all of its clusters count as used once.
      if (externalData) {
        if (!first || l2Copied(hi)) continue
        this.#tell(`${what()} refcount=1`, times, fixable)
        if (fixable) wrong.push(index)
      } else this.#check(l2HostOffset(hi, lo), l2Copied(hi), times, index, fixable, what)
    }
    if (fixable) return this.#fixL2(table, offset, wrong)
    return this.#suspects.length > MANY ? this.settle().then(() => {}) : undefined
  }

  /** Looks at the refcounts of all suspects. Returns the places of those that are wrong and shall be fixed. */
  async settle(): Promise<number[]> {
    const wrong: number[] = []
    for (const { cluster, copied, times, what, index, fixable } of this.#suspects.splice(0)) {
      const refcount = await this.#reader.refcount(cluster)
      if (refcount === null || (refcount === 1) === copied) continue
      this.#tell(`${what()} refcount=${refcount}`, times, fixable)
      if (fixable) wrong.push(index)
    }
    return wrong
  }

  async #fixL2(table: DataView, offset: number, wrong: number[]): Promise<void> {
    wrong.push(...(await this.settle()))
    if (wrong.length === 0) return
    const { l2EntrySize } = this.#pass.geometry
    for (const index of wrong) {
      const hi = table.getUint32(index * l2EntrySize)
      table.setUint32(index * l2EntrySize, withCopied(hi, !l2Copied(hi)))
    }
    await this.#fixer!.changedL2(offset, table, wrong)
  }

  #tell(what: string, times: number, fixable: boolean): void {
    if (fixable) this.#findings.corruptionFixed(`Repairing ${what}`, times)
    else this.#findings.corruption(`ERROR ${what}`, times)
  }

  #check(offset: number, copied: boolean, times: number, index: number, fixable: boolean, what: () => string): void {
    const { counts, geometry, fileLength, first } = this.#pass
    const cluster = Math.floor(offset / geometry.clusterSize)
    if (offset < fileLength) {
      if (cluster < counts.from || cluster >= counts.limit) return
      const page = Math.floor(cluster / ReferenceCounts.pageClusters)
      const one = counts.page(page)?.[cluster - page * ReferenceCounts.pageClusters] === 1
      if (one === copied) return
    } else if (!first) return
    // Behind the end of the file nothing is counted: such an entry belongs to no pass, so it is the first one's.
    this.#suspects.push({ cluster, copied, times, what, index, fixable })
  }
}
