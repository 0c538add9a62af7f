import { hexOf } from '../on-disk/integers.ts'
import { classifyCluster, l2Copied, l2HasReservedBits, l2HostOffset } from '../on-disk/l2.ts'
import { compressedLength, compressedOffset } from '../on-disk/l2-compressed.ts'
import { subclustersAllocated, subclustersZero } from '../on-disk/l2-subclusters.ts'
import { entryProblem, markRegion, type Pass } from './pass.ts'
import { USE } from './reference-counts.ts'

/**
 * Counts the clusters that an L2 table names and checks its entries.
 *
 * @param times - how often the table is in use
 * @param activeTimes - how often by the guest's disk as it is now: only that counts as allocated
 * @internal
 */
export function countL2(pass: Pass, table: DataView, times: number, activeTimes: number): void {
  new L2Count(pass, table, times, activeTimes).run()
}

class L2Count {
  readonly #pass: Pass
  readonly #table: DataView
  readonly #times: number
  readonly #activeTimes: number
  #allocated = 0
  #fragmented = 0
  #compressed = 0
  /** Where the next cluster is expected; 0 = nothing allocated yet. */
  #contiguous = 0

  constructor(pass: Pass, table: DataView, times: number, activeTimes: number) {
    this.#pass = pass
    this.#table = table
    this.#times = times
    this.#activeTimes = activeTimes
  }

  run(): void {
    const { geometry, first, findings } = this.#pass
    const { l2EntrySize, l2Entries, extendedL2 } = geometry
    const simple = !extendedL2 && !this.#pass.area.header.features.externalData
    let index = 0
    while (index < l2Entries) {
      if (simple) index += this.#plainRun(index)
      if (index === l2Entries) break
      const hi = this.#table.getUint32(index * l2EntrySize)
      const lo = this.#table.getUint32(index * l2EntrySize + 4)
      if (hi !== 0 || lo !== 0 || extendedL2) this.#entry(index, hi, lo)
      index++
    }
    if (!first) return
    findings.allocatedClusters += this.#allocated * this.#activeTimes
    findings.fragmentedClusters += this.#fragmented * this.#activeTimes
    findings.compressedClusters += this.#compressed * this.#activeTimes
  }

  /**
   * Counts entries from `index` on as long as they are what nearly all are: without any flag but COPIED, aligned, and
   * inside the file, one behind the other. Returns how many.
   */
  #plainRun(index: number): number {
    const table = this.#table
    const { geometry, fileLength, counts } = this.#pass
    const { clusterSize, l2Entries } = geometry
    const hi = table.getUint32(index * 8)
    const lo = table.getUint32(index * 8 + 4)
    const start = l2HostOffset(hi, lo)
    // Bits that a plain entry does not have: reserved ones, compressed, zero, and those below the cluster size.
    const clear = (hi & 0x7f00_0000) === 0 && (lo & (clusterSize - 1)) === 0
    if (!clear || start === 0 || start + clusterSize > fileLength) return 0
    const most = Math.min(l2Entries - index, Math.floor((fileLength - start) / clusterSize))
    let count = 1
    let nextLo = lo + clusterSize
    // Stops where the lower half overflows: the next call starts there.
    while (count < most && nextLo <= 0xffff_ffff && table.getUint32((index + count) * 8) === hi) {
      if (table.getUint32((index + count) * 8 + 4) !== nextLo) break
      nextLo += clusterSize
      count++
    }
    counts.add(start / clusterSize, count, this.#times, this.#useOf(hi))
    this.#allocated += count
    if (this.#contiguous !== 0 && start !== this.#contiguous) this.#fragmented++
    this.#contiguous = start + count * clusterSize
    return count
  }

  #useOf(hi: number): number {
    if (this.#activeTimes === 0) return USE.plain
    return l2Copied(hi) ? USE.copied : USE.shared
  }

  #entry(index: number, hi: number, lo: number): void {
    const { geometry, area } = this.#pass
    const { clusterSize, extendedL2 } = geometry
    const { externalData } = area.header.features
    const kind = classifyCluster({ extendedL2, externalData }, hi, lo)
    if (kind === 'compressed') {
      if (!this.#countCompressed(index, hi, lo)) return
      this.#allocated++
      this.#compressed++
      // Compressed clusters are fragmented by nature: one is never a whole cluster.
      this.#fragmented++
      return
    }
    // With extended entries bit 0 is reserved too, but the reference does not look at it.
    if (l2HasReservedBits(false, hi, lo)) {
      entryProblem(this.#pass, `ERROR found l2 entry with reserved bits set: ${hexOf({ hi, lo })}`, this.#times)
    }
    if (kind === 'zero-plain' || kind === 'unallocated') {
      if (extendedL2 && subclustersAllocated(this.#table, index) !== 0) {
        entryProblem(this.#pass, 'ERROR: Unallocated cluster has non-zero subcluster allocation map', this.#times)
      }
      return
    }
    const offset = l2HostOffset(hi, lo)
    this.#checkData(index, offset, kind === 'normal')
    this.#allocated++
    if (this.#contiguous !== 0 && offset !== this.#contiguous) this.#fragmented++
    this.#contiguous = offset + clusterSize
    const use = this.#useOf(hi)
    // Like the reference, which does not count what it is about to drop.
    if (this.#pass.mends && offset % clusterSize !== 0) return
    if (!externalData) markRegion(this.#pass, offset, clusterSize, this.#times, use)
    // All clusters of a data file count as used once.
    else if (use === USE.shared) this.#pass.suspectsCopied = true
  }

  /** Checks an entry with a host cluster. */
  #checkData(index: number, offset: number, normal: boolean): void {
    const { geometry } = this.#pass
    let data = normal
    if (geometry.extendedL2) {
      const allocated = subclustersAllocated(this.#table, index)
      data = allocated !== 0
      if ((allocated & subclustersZero(this.#table, index)) !== 0) {
        const line = `ERROR offset=${offset.toString(16)}: Allocated cluster has corrupted subcluster allocation bitmap`
        entryProblem(this.#pass, line, this.#times)
      }
    }
    if (offset % geometry.clusterSize === 0) return
    const what = data ? 'Data' : 'Preallocated'
    // What the reference mends is right when the next L1 table leads it there.
    const times = this.#pass.mends && !data ? 1 : this.#times
    entryProblem(this.#pass, `ERROR offset=${offset.toString(16)}: ${what} cluster is not properly aligned; L2 entry corrupted.`, times)
  }

  /** Checks and counts a compressed cluster; false if it is not allowed there at all. */
  #countCompressed(index: number, hi: number, lo: number): boolean {
    const { geometry, area } = this.#pass
    const problem = (line: string): void => entryProblem(this.#pass, line, this.#times)
    const hex = (): string => hexOf({ hi: hi & (2 ** (geometry.compressedOffsetBits - 32) - 1), lo })
    if (hi >= 0x8000_0000) problem(`ERROR: coffset=0x${hex()}: copied flag must never be set for compressed clusters`)
    // Told without the flag that the line before complained about.
    const entry = (): string => hexOf({ hi: hi & 0x7fff_ffff, lo })
    if (area.header.features.externalData) {
      problem(`ERROR compressed cluster ${index} with data file, entry=0x${entry()}`)
      return false
    }
    if (geometry.extendedL2 && (subclustersAllocated(this.#table, index) !== 0 || subclustersZero(this.#table, index) !== 0)) {
      problem(`ERROR compressed cluster ${index} with non-zero subcluster allocation bitmap, entry=0x${entry()}`)
      return false
    }
    const offset = compressedOffset(geometry, hi, lo)
    const length = compressedLength(geometry, hi, lo)
    markRegion(this.#pass, offset, length, this.#times, USE.plain, offset > Number.MAX_SAFE_INTEGER ? hex() : undefined)
    return true
  }
}
