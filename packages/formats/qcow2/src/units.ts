import { BlockError } from '@blockloom/block-driver'

declare const guest: unique symbol
declare const host: unique symbol
declare const cluster: unique symbol

/** A byte offset on the virtual disk. @internal */
export type GuestOffset = number & { readonly [guest]: true }

/** A byte offset in the image file, or in the external data file. @internal */
export type HostOffset = number & { readonly [host]: true }

/** The number of a host cluster: its host offset divided by the cluster size. @internal */
export type ClusterIndex = number & { readonly [cluster]: true }

/** Brands a number as a guest offset; checks nothing. @internal */
export const guestOffset = (offset: number): GuestOffset => offset as GuestOffset

/** Brands a number as a host offset; checks nothing. @internal */
export const hostOffset = (offset: number): HostOffset => offset as HostOffset

/** Bytes of an L2 entry: 8, or 16 with extended L2 entries. @internal */
export type L2EntrySize = 8 | 16

/** Width of a refcount in bits: 1 << refcount_order. @internal */
export type RefcountBits = 1 | 2 | 4 | 8 | 16 | 32 | 64

/** What {@link createGeometry} needs to know; a decoded header has all of it. @internal */
export interface GeometryInit {
  /** 9 to 21. */
  readonly clusterBits: number
  /** 0 to 6. */
  readonly refcountOrder: number
  readonly extendedL2: boolean
}

/**
 * Everything about an image's layout that follows from three header fields, computed once.
 *
 * Frozen. All sizes are powers of two, so `%` and `Math.floor(x / size)` are exact for every safe integer.
 *
 * @internal
 */
export interface Geometry {
  readonly clusterBits: number
  readonly clusterSize: number
  readonly extendedL2: boolean
  /** Bytes of one L2 entry. */
  readonly l2EntrySize: L2EntrySize
  /** Entries of one L2 table, which is one cluster. */
  readonly l2Entries: number
  readonly l2Bits: number
  /** Guest bytes that one L2 table (one L1 entry) maps. */
  readonly l2Coverage: number
  readonly subclustersPerCluster: 1 | 32
  readonly subclusterSize: number
  readonly refcountOrder: number
  readonly refcountBits: RefcountBits
  /** Refcounts in one refcount block, which is one cluster. */
  readonly refcountBlockEntries: number
  /** Host bytes that one refcount block (one refcount table entry) counts. */
  readonly refcountBlockCoverage: number
  /** Entries of eight bytes in one cluster: L1, refcount and bitmap tables. */
  readonly tableEntriesPerCluster: number
  /** Width of the offset in a compressed cluster descriptor: `x` in the specification, 49 to 61. */
  readonly compressedOffsetBits: number
}

/**
 * Computes the geometry of an image.
 *
 * The arguments must be in range (a decoded header's are); a BlockError `invalid` names the one that is not.
 * Source: qcow2 specification, "Host cluster management", "Cluster mapping", "Extended L2 Entries".
 *
 * @internal
 */
export function createGeometry(init: GeometryInit): Geometry {
  const { clusterBits, refcountOrder, extendedL2 } = init
  if (!Number.isInteger(clusterBits) || clusterBits < 9 || clusterBits > 21) {
    throw new BlockError('invalid', `Unsupported cluster size: 2^${clusterBits}`, { detail: { field: 'cluster_bits' } })
  }
  if (!Number.isInteger(refcountOrder) || refcountOrder < 0 || refcountOrder > 6) {
    throw new BlockError('invalid', 'Reference count entry width too large; may not exceed 64 bits', {
      detail: { field: 'refcount_order' },
    })
  }
  const clusterSize = 2 ** clusterBits
  const l2EntrySize = extendedL2 ? 16 : 8
  const l2Entries = clusterSize / l2EntrySize
  const subclustersPerCluster = extendedL2 ? 32 : 1
  const refcountBlockEntries = (clusterSize * 8) / 2 ** refcountOrder
  return Object.freeze({
    clusterBits,
    clusterSize,
    extendedL2,
    l2EntrySize,
    l2Entries,
    l2Bits: clusterBits - (extendedL2 ? 4 : 3),
    l2Coverage: l2Entries * clusterSize,
    subclustersPerCluster,
    subclusterSize: clusterSize / subclustersPerCluster,
    refcountOrder,
    refcountBits: 2 ** refcountOrder as RefcountBits,
    refcountBlockEntries,
    refcountBlockCoverage: refcountBlockEntries * clusterSize,
    tableEntriesPerCluster: clusterSize / 8,
    compressedOffsetBits: 62 - (clusterBits - 8),
  })
}

/** The start of the cluster that contains `offset`. @internal */
export function clusterStart<T extends number>(geometry: Geometry, offset: T): T {
  return (offset - (offset % geometry.clusterSize)) as T
}

/** Where in its cluster `offset` lies. @internal */
export function offsetInCluster(geometry: Geometry, offset: number): number {
  return offset % geometry.clusterSize
}

/** True if `offset` is a multiple of the cluster size. @internal */
export function isClusterAligned(geometry: Geometry, offset: number): boolean {
  return offset % geometry.clusterSize === 0
}

/** How many clusters hold `bytes` bytes, rounded up. @internal */
export function clustersFor(geometry: Geometry, bytes: number): number {
  return Math.ceil(bytes / geometry.clusterSize)
}

/** `bytes` rounded up to whole clusters; the caller keeps it a safe integer. @internal */
export function roundUpToCluster(geometry: Geometry, bytes: number): number {
  return clustersFor(geometry, bytes) * geometry.clusterSize
}

/** Index in the L1 table of the entry that maps `offset`. @internal */
export function l1Index(geometry: Geometry, offset: GuestOffset): number {
  return Math.floor(offset / geometry.l2Coverage)
}

/** Index in its L2 table of the entry that maps `offset`. @internal */
export function l2Index(geometry: Geometry, offset: GuestOffset): number {
  return Math.floor((offset % geometry.l2Coverage) / geometry.clusterSize)
}

/** Which subcluster of its cluster `offset` lies in; always 0 without extended L2 entries. @internal */
export function subclusterIndex(geometry: Geometry, offset: GuestOffset): number {
  return Math.floor((offset % geometry.clusterSize) / geometry.subclusterSize)
}

/** L1 entries needed to map `bytes` guest bytes. @internal */
export function l1EntriesFor(geometry: Geometry, bytes: number): number {
  return Math.ceil(bytes / geometry.l2Coverage)
}

/** The guest offset that an L1 index and an L2 index stand for. @internal */
export function guestOffsetOf(geometry: Geometry, l1: number, l2: number): GuestOffset {
  return (l1 * geometry.l2Coverage + l2 * geometry.clusterSize) as GuestOffset
}

/** The number of the host cluster that contains `offset`. @internal */
export function clusterIndex(geometry: Geometry, offset: HostOffset): ClusterIndex {
  return Math.floor(offset / geometry.clusterSize) as ClusterIndex
}

/** Where host cluster `index` starts. @internal */
export function clusterOffset(geometry: Geometry, index: ClusterIndex): HostOffset {
  return (index * geometry.clusterSize) as HostOffset
}

/** Index in the refcount table of the block that counts host cluster `index`. @internal */
export function refcountTableIndex(geometry: Geometry, index: ClusterIndex): number {
  return Math.floor(index / geometry.refcountBlockEntries)
}

/** Index in its refcount block of the refcount of host cluster `index`. @internal */
export function refcountBlockIndex(geometry: Geometry, index: ClusterIndex): number {
  return index % geometry.refcountBlockEntries
}
