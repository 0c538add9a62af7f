import { l1TableOffset } from '../on-disk/l1.ts'
import { classifyCluster, l2HasReservedBits, l2HostOffset, setL2Halves } from '../on-disk/l2.ts'
import { compressedLength, compressedOffset } from '../on-disk/l2-compressed.ts'
import { ALL_SUBCLUSTERS, setSubclusters, subclustersAllocated, subclustersZero } from '../on-disk/l2-subclusters.ts'
import { reachesTooFar } from '../check/pass.ts'
import type { Geometry } from '../units.ts'

const SECTOR = 512
/** The flag of compressed entries, in the upper half. */
const COMPRESSED = 0x4000_0000

/** What mending an entry depends on. @internal */
export interface MendContext {
  readonly geometry: Geometry
  readonly version: 2 | 3
  readonly externalData: boolean
  /** Bytes of the image file, in whole sectors. */
  readonly fileLength: number
}

/**
 * The L2 table that an L1 entry leads to, with what is wrong left out: an entry whose table cannot be there, or is behind
 * the end of the file where everything reads as zeroes, leads to none.
 *
 * @returns its host offset; 0 for none
 * @internal
 */
export function mendedTableOffset(context: MendContext, hi: number, lo: number): number {
  const offset = l1TableOffset(hi, lo)
  return offset % context.geometry.clusterSize !== 0 || offset >= context.fileLength ? 0 : offset
}

/**
 * Mends the entries of an L2 table in memory. What the guest could read of it stays as it is:
 *
 * - compressed data that would reach too far behind the end of the file ends there
 * - reserved bits go, and COPIED of compressed clusters, and the subcluster bitmap of compressed clusters
 * - clusters that cannot be read, because they are not aligned, read as zeroes, as do those behind the end of the file
 *   before and after; in version 2, which has no such entries, they become unallocated
 * - of subclusters that contradict themselves each reads as zeroes; the others keep what they have
 *
 * @returns the indexes of the entries that changed
 * @internal
 */
export function mendL2(context: MendContext, table: DataView): number[] {
  const { geometry } = context
  const changed: number[] = []
  for (let index = 0; index < geometry.l2Entries; index++) {
    const hi = table.getUint32(index * geometry.l2EntrySize)
    const lo = table.getUint32(index * geometry.l2EntrySize + 4)
    if (hi === 0 && lo === 0 && !geometry.extendedL2) continue
    if (mendEntry(context, table, index, hi, lo)) changed.push(index)
  }
  return changed
}

function mendEntry(context: MendContext, table: DataView, index: number, hi: number, lo: number): boolean {
  const { geometry, externalData } = context
  const kind = classifyCluster({ extendedL2: geometry.extendedL2, externalData }, hi, lo)
  if (kind === 'compressed') return mendCompressed(context, table, index, hi, lo)
  let changed = false
  if (l2HasReservedBits(false, hi, lo)) {
    setL2Halves(geometry, table, index, (hi & 0xc0ff_ffff) >>> 0, (lo & 0xffff_fe01) >>> 0)
    changed = true
  }
  if (kind === 'normal' || kind === 'zero-alloc') {
    const offset = l2HostOffset(hi, lo)
    if (offset % geometry.clusterSize !== 0 || (!externalData && offset >= context.fileLength)) return readsAsZeroes(context, table, index)
  }
  if (!geometry.extendedL2) return changed
  const allocated = subclustersAllocated(table, index)
  const zero = subclustersZero(table, index)
  const invalid = kind === 'normal' ? (allocated & zero) >>> 0 : allocated
  if (invalid === 0) return changed
  setSubclusters(table, index, (allocated ^ invalid) >>> 0, (zero | invalid) >>> 0)
  return true
}

function mendCompressed(context: MendContext, table: DataView, index: number, hi: number, lo: number): boolean {
  const { geometry, fileLength } = context
  const offset = compressedOffset(geometry, hi, lo)
  if (context.externalData || offset >= fileLength) {
    if (geometry.extendedL2) setSubclusters(table, index, ALL_SUBCLUSTERS, 0)
    return readsAsZeroes(context, table, index)
  }
  let mended = hi & 0x7fff_ffff
  if (reachesTooFar(context, offset, compressedLength(geometry, hi, lo))) {
    // The data may well end before the file does.
    const sectors = Math.ceil(fileLength / SECTOR) - Math.floor(offset / SECTOR)
    const shift = 2 ** (geometry.compressedOffsetBits - 32)
    mended = COMPRESSED + (sectors - 1) * shift + (hi & (shift - 1))
  }
  let changed = false
  if (mended !== hi) {
    setL2Halves(geometry, table, index, mended, lo)
    changed = true
  }
  if (geometry.extendedL2 && (subclustersAllocated(table, index) !== 0 || subclustersZero(table, index) !== 0)) {
    setSubclusters(table, index, 0, 0)
    changed = true
  }
  return changed
}

/** Subclusters that were not allocated go on to be looked up in the backing file. */
function readsAsZeroes({ geometry, version }: MendContext, table: DataView, index: number): true {
  if (geometry.extendedL2) {
    const zero = (subclustersZero(table, index) | subclustersAllocated(table, index)) >>> 0
    setSubclusters(table, index, 0, zero)
    setL2Halves(geometry, table, index, 0, 0)
  } else setL2Halves(geometry, table, index, 0, version >= 3 ? 1 : 0)
  return true
}
