import { hostOffset, type Geometry, type HostOffset } from '../units.ts'
import { highHalf, lowHalf } from './integers.ts'
import { MAX_HOST_OFFSET } from './limits.ts'

// A bitmap table entry is a pair (hi, lo) of unsigned 32-bit halves. Source: qcow2 specification, "Bitmap table".

/**
 * What an entry says about one cluster of bitmap data: nothing stored and all bits clear or all set, a host cluster
 * that holds the bits, or corruption (reserved bits, an unaligned or impossible offset).
 *
 * @internal
 */
export type BitmapClusterKind = 'all-zeroes' | 'all-ones' | 'data' | 'invalid'

/** Where the cluster of bitmap data is; 0 if nothing is stored. Exact for every input. @internal */
export function bitmapDataOffset(hi: number, lo: number): HostOffset {
  return hostOffset((hi & 0x00ff_ffff) * 0x1_0000_0000 + ((lo & 0xffff_fe00) >>> 0))
}

/** The kind of a bitmap table entry. Total: every 64-bit value has a kind. @internal */
export function classifyBitmapCluster(geometry: Geometry, hi: number, lo: number): BitmapClusterKind {
  if ((hi & 0xff00_0000) !== 0 || (lo & 0x1fe) !== 0) return 'invalid'
  const offset = bitmapDataOffset(hi, lo)
  const flag = (lo & 1) === 1
  if (offset === 0) return flag ? 'all-ones' : 'all-zeroes'
  if (flag || offset % geometry.clusterSize !== 0 || offset > MAX_HOST_OFFSET) return 'invalid'
  return 'data'
}

/** Writes entry `index`: a cluster-aligned offset, or a flag for a cluster that is not stored. @internal */
export function setBitmapTableEntry(table: DataView, index: number, value: number | 'all-zeroes' | 'all-ones'): void {
  const offset = typeof value === 'number' ? value : 0
  table.setUint32(index * 8, highHalf(offset))
  table.setUint32(index * 8 + 4, lowHalf(offset) + (value === 'all-ones' ? 1 : 0))
}
