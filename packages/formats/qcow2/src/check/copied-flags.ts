import { hexOf } from '../on-disk/integers.ts'
import { l1Copied, l1TableOffset } from '../on-disk/l1.ts'
import { classifyCluster, l2Copied, l2HostOffset } from '../on-disk/l2.ts'
import { L2Tables } from './l2-tables.ts'
import type { Pass } from './pass.ts'
import { ReferenceCounts } from './reference-counts.ts'
import type { RefcountReader } from './refcount-reader.ts'

/**
 * Checks that COPIED is set in the active tables if and only if the refcount is one. It is the image's refcount that
 * counts, right or wrong. The counters must be those that `compareRefcounts` left.
 *
 * @internal
 */
export async function checkCopiedFlags(pass: Pass, reader: RefcountReader): Promise<void> {
  const { l1Offset, l1Entries } = pass.area.header
  const flags = new CopiedFlags(pass, reader)
  const tables = new L2Tables(pass, (table, _times, activeTimes) =>
    table === 'empty' || table === 'unreadable' ? undefined : flags.l2(table, activeTimes),
  )
  await tables.addL1({ offset: l1Offset, entries: l1Entries, active: true, times: 1 }, (hi, lo, index) => flags.l1(hi, lo, index))
  await flags.settle()
  await tables.finish()
  await flags.settle()
}

class CopiedFlags {
  readonly #pass: Pass
  readonly #reader: RefcountReader
  /** Entries that need a look at the refcount itself; done one after the other. */
  readonly #later: (() => Promise<void>)[] = []

  constructor(pass: Pass, reader: RefcountReader) {
    this.#pass = pass
    this.#reader = reader
  }

  l1(hi: number, lo: number, index: number): boolean {
    const offset = l1TableOffset(hi, lo)
    if (offset === 0) return false
    const { refcountBlockCoverage } = this.#pass.geometry
    // Like the reference: a table whose refcount cannot be told is not looked into.
    if (this.#reader.isUnreadable(Math.floor(offset / refcountBlockCoverage))) return false
    const copied = l1Copied(hi)
    this.#check(offset, copied, 1, () => `ERROR OFLAG_COPIED L2 cluster: l1_index=${index} l1_entry=${hexOf({ hi, lo })}`)
    return true
  }

  l2(table: DataView, times: number): Promise<void> | undefined {
    const { geometry, area, first, findings } = this.#pass
    const { l2EntrySize, l2Entries, extendedL2 } = geometry
    const { externalData } = area.header.features
    const context = { extendedL2, externalData }
    for (let index = 0; index < l2Entries; index++) {
      const hi = table.getUint32(index * l2EntrySize)
      const lo = table.getUint32(index * l2EntrySize + 4)
      if (hi === 0 && lo === 0) continue
      const kind = classifyCluster(context, hi, lo)
      if (kind !== 'normal' && kind !== 'zero-alloc') continue
      const line = (): string => `ERROR OFLAG_COPIED data cluster: l2_entry=${hexOf({ hi, lo })}`
      // An external data file has no refcounts: all of its clusters count as used once.
      if (externalData) {
        if (first && !l2Copied(hi)) findings.corruption(`${line()} refcount=1`, times)
      } else this.#check(l2HostOffset(hi, lo), l2Copied(hi), times, line)
    }
    return this.#later.length > 4096 ? this.settle() : undefined
  }

  async settle(): Promise<void> {
    for (const look of this.#later.splice(0)) await look()
  }

  #check(offset: number, copied: boolean, times: number, line: () => string): void {
    const { counts, geometry, fileLength, first } = this.#pass
    const cluster = Math.floor(offset / geometry.clusterSize)
    if (offset >= fileLength) {
      // Not counted: such an entry belongs to no pass, so it is the first one's.
      if (first) this.#look(cluster, copied, times, line)
      return
    }
    if (cluster < counts.from || cluster >= counts.limit) return
    const page = Math.floor(cluster / ReferenceCounts.pageClusters)
    const one = counts.page(page)?.[cluster - page * ReferenceCounts.pageClusters] === 1
    if (one !== copied) this.#look(cluster, copied, times, line)
  }

  #look(cluster: number, copied: boolean, times: number, line: () => string): void {
    this.#later.push(async () => {
      const refcount = await this.#reader.refcount(cluster)
      if (refcount === null || (refcount === 1) === copied) return
      this.#pass.findings.corruption(`${line()} refcount=${refcount}`, times)
    })
  }
}
