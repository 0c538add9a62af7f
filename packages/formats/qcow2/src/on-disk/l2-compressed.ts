import { BlockError } from '@blockloom/block-driver'
import { hostOffset, type Geometry, type HostOffset } from '../units.ts'
import { highHalf, joinHalves, lowHalf } from './integers.ts'
import { MAX_HOST_OFFSET } from './limits.ts'
import { setL2Halves } from './l2.ts'

// Compressed Clusters Descriptor: bits 0 to x-1 are the host offset in bytes, bits x to 61 the number of
// 512-byte sectors beyond the one that contains the offset; x = 62 - (cluster_bits - 8), from 49 to 61.
// Source: qcow2 specification, "Cluster mapping".

const SECTOR = 512

/**
 * Where the compressed data starts, in bytes; not aligned to anything.
 *
 * Exact up to 2^53; a larger field gives a rounded number above {@link MAX_HOST_OFFSET}, which
 * {@link isUsableCompressedOffset} refuses.
 *
 * @internal
 */
export function compressedOffset(geometry: Geometry, hi: number, lo: number): HostOffset {
  return hostOffset(joinHalves(hi & (2 ** (geometry.compressedOffsetBits - 32) - 1), lo))
}

/**
 * How many bytes from {@link compressedOffset} on may hold the compressed data: up to the end of its last
 * sector. Between 1 and two clusters. The stream usually ends earlier, and the next compressed cluster may
 * start inside the last sector.
 *
 * @internal
 */
export function compressedLength(geometry: Geometry, hi: number, lo: number): number {
  return compressedSectors(geometry, hi) * SECTOR - (lo % SECTOR)
}

/** Number of 512-byte sectors that the compressed data touches, at least 1. @internal */
export function compressedSectors(geometry: Geometry, hi: number): number {
  return ((hi & 0x3fff_ffff) >>> (geometry.compressedOffsetBits - 32)) + 1
}

/** True if the offset can be read with exact arithmetic. Beyond that it is corruption. @internal */
export function isUsableCompressedOffset(offset: number): boolean {
  return offset <= MAX_HOST_OFFSET
}

/**
 * The first offset that a compressed descriptor of this cluster size cannot express any more.
 *
 * 2^49 for 2 MiB clusters and 2^50 for 1 MiB; elsewhere the limit is that of exact arithmetic. A writer that
 * would place compressed data there stores the cluster uncompressed instead.
 *
 * @internal
 */
export function compressedOffsetLimit(geometry: Geometry): number {
  return Math.min(2 ** geometry.compressedOffsetBits, MAX_HOST_OFFSET)
}

/**
 * Writes a compressed descriptor for `length` bytes of compressed data at host `offset` into entry `index`.
 *
 * COPIED is never set for compressed clusters. The subcluster bitmap of an extended entry is cleared: it is
 * reserved for compressed clusters.
 *
 * @throws BlockError `invalid`, if the offset does not fit, or the data is empty or not smaller than a cluster.
 * @internal
 */
export function setCompressedEntry(
  geometry: Geometry,
  table: DataView,
  index: number,
  offset: number,
  length: number,
): void {
  if (!(length > 0 && length < geometry.clusterSize && offset + length <= compressedOffsetLimit(geometry))) {
    throw new BlockError('invalid', `No compressed cluster can describe ${length} bytes at offset ${offset}`)
  }
  const additional = Math.floor((offset + length - 1) / SECTOR) - Math.floor(offset / SECTOR)
  const hi = 0x4000_0000 + additional * 2 ** (geometry.compressedOffsetBits - 32) + highHalf(offset)
  setL2Halves(geometry, table, index, hi, lowHalf(offset))
  if (geometry.extendedL2) {
    table.setUint32(index * 16 + 8, 0)
    table.setUint32(index * 16 + 12, 0)
  }
}
