import { hostOffset, type Geometry, type HostOffset } from '../units.ts'
import { highHalf, lowHalf } from './integers.ts'
import { MAX_HOST_OFFSET } from './limits.ts'

// An L2 entry is a pair (hi, lo) of unsigned 32-bit halves: no BigInt and no object on the data path.
// Source: qcow2 specification, "Cluster mapping". Subclusters: l2-subclusters.ts. Compressed: l2-compressed.ts.

/**
 * What a standard or compressed L2 entry says about its cluster.
 *
 * - `unallocated`: look in the backing file
 * - `zero-plain`: reads as zeroes, no host cluster
 * - `zero-alloc`: reads as zeroes, a host cluster is reserved for it
 * - `normal`: the data is in the host cluster
 * - `compressed`: see the compressed cluster descriptor
 *
 * With extended L2 entries the allocation bitmap refines `unallocated` and `normal`: `classifySubcluster`.
 *
 * @internal
 */
export type ClusterKind = 'unallocated' | 'zero-plain' | 'zero-alloc' | 'normal' | 'compressed'

/** How to read an entry besides its own bits. @internal */
export interface L2Context {
  /** Bit 0 is reserved with extended L2 entries, so it does not make a zero cluster there. */
  readonly extendedL2: boolean
  /** With an external data file, host offset 0 is a valid cluster if COPIED is set. */
  readonly externalData: boolean
}

/** The upper half of entry `index` of an L2 table. @internal */
export function l2Hi(geometry: Geometry, table: DataView, index: number): number {
  return table.getUint32(index * geometry.l2EntrySize)
}

/** The lower half of entry `index` of an L2 table. @internal */
export function l2Lo(geometry: Geometry, table: DataView, index: number): number {
  return table.getUint32(index * geometry.l2EntrySize + 4)
}

/**
 * The kind of an L2 entry.
 *
 * Total: every 64-bit value has a kind. It does not check that the offset is aligned or inside the file, nor
 * that version 2 images have no zero clusters (the zero flag is reserved there).
 *
 * @internal
 */
export function classifyCluster(context: L2Context, hi: number, lo: number): ClusterKind {
  if ((hi & 0x4000_0000) !== 0) return 'compressed'
  const offsetIsZero = (hi & 0x00ff_ffff) === 0 && (lo & 0xffff_fe00) === 0
  if ((lo & 1) === 1 && !context.extendedL2) return offsetIsZero ? 'zero-plain' : 'zero-alloc'
  if (offsetIsZero && !(context.externalData && hi >= 0x8000_0000)) return 'unallocated'
  return 'normal'
}

/**
 * Where the host cluster of a standard descriptor starts; 0 if there is none.
 *
 * Exact for every input (bits 9 to 55), but neither aligned nor inside the file by itself: check it with
 * {@link isUsableClusterOffset}.
 *
 * @internal
 */
export function l2HostOffset(hi: number, lo: number): HostOffset {
  return hostOffset((hi & 0x00ff_ffff) * 0x1_0000_0000 + ((lo & 0xffff_fe00) >>> 0))
}

/** The COPIED flag, bit 63: the refcount is exactly one. Only accurate below the active L1 table. @internal */
export function l2Copied(hi: number): boolean {
  return hi >= 0x8000_0000
}

/** The zero flag, bit 0, whatever the kind of entry. @internal */
export function l2ZeroFlag(lo: number): boolean {
  return (lo & 1) === 1
}

/**
 * True if a reserved bit of a standard descriptor is set: bits 1-8 and 56-61, with extended L2 entries bit 0
 * too. Reading ignores these bits, a check reports them. Not for compressed entries.
 *
 * @internal
 */
export function l2HasReservedBits(extendedL2: boolean, hi: number, lo: number): boolean {
  return (hi & 0x3f00_0000) !== 0 || (lo & (extendedL2 ? 0x1ff : 0x1fe)) !== 0
}

/**
 * True if a cluster, an L2 table or a refcount block may start at `offset`: a multiple of the cluster size,
 * and small enough for exact arithmetic. Anything else is corruption.
 *
 * @internal
 */
export function isUsableClusterOffset(geometry: Geometry, offset: number): boolean {
  return offset % geometry.clusterSize === 0 && offset <= MAX_HOST_OFFSET
}

/**
 * Writes the standard descriptor of entry `index` of an L2 table.
 *
 * `offset` is a multiple of the cluster size below 2^56 (0 = no host cluster). `zero` must be false in version
 * 2 and with extended L2 entries. The subcluster bitmap of an extended entry is left as it is.
 *
 * @internal
 */
export function setL2Entry(
  geometry: Geometry,
  table: DataView,
  index: number,
  offset: number,
  copied: boolean,
  zero: boolean,
): void {
  setL2Halves(geometry, table, index, l2EntryHi(offset, copied), l2EntryLo(offset, zero))
}

/**
 * Writes the standard descriptors of `count` neighbouring entries from `index` on, for neighbouring host clusters from
 * `offset` on that are ours alone: COPIED is set, the zero flag is not. See {@link setL2Entry}.
 *
 * @internal
 */
export function setL2Run(geometry: Geometry, table: DataView, index: number, count: number, offset: number): void {
  const { clusterSize, l2EntrySize } = geometry
  let hi = l2EntryHi(offset, true)
  let lo = l2EntryLo(offset, false)
  const end = (index + count) * l2EntrySize
  for (let at = index * l2EntrySize; at < end; at += l2EntrySize) {
    table.setUint32(at, hi)
    table.setUint32(at + 4, lo)
    lo += clusterSize
    if (lo < 0x1_0000_0000) continue
    lo -= 0x1_0000_0000
    hi++
  }
}

/** How many entries from `index` on, in front of `end`, have no bit set in their descriptors before the first one that has. @internal */
export function emptyL2Run(geometry: Geometry, table: DataView, index: number, end: number): number {
  const { l2EntrySize } = geometry
  let at = index
  while (at < end && table.getUint32(at * l2EntrySize) === 0 && table.getUint32(at * l2EntrySize + 4) === 0) at++
  return at - index
}

/** Writes both halves of entry `index` of an L2 table as they are. @internal */
export function setL2Halves(geometry: Geometry, table: DataView, index: number, hi: number, lo: number): void {
  const at = index * geometry.l2EntrySize
  table.setUint32(at, hi)
  table.setUint32(at + 4, lo)
}

/** The upper half of a standard descriptor. @internal */
export function l2EntryHi(offset: number, copied: boolean): number {
  return copied ? highHalf(offset) + 0x8000_0000 : highHalf(offset)
}

/** The lower half of a standard descriptor. @internal */
export function l2EntryLo(offset: number, zero: boolean): number {
  return zero ? lowHalf(offset) + 1 : lowHalf(offset)
}

/** The upper half with the COPIED flag set or cleared; for snapshots, which rebuild the flag. @internal */
export function withCopied(hi: number, copied: boolean): number {
  return copied ? (hi | 0x8000_0000) >>> 0 : hi & 0x7fff_ffff
}
