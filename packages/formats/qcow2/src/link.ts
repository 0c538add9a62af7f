import type { TableEntry } from '@blockloom/driver-kit'
import { compressedLength, compressedOffset } from './on-disk/l2-compressed.ts'
import { classifyCluster, emptyL2Run, l2HostOffset, setL2Run } from './on-disk/l2.ts'
import { ALL_SUBCLUSTERS, setSubclusters, subclusterMask, subclustersAllocated, subclustersZero } from './on-disk/l2-subclusters.ts'
import type { FreeReason } from './pending-frees.ts'
import type { Qcow2Writer } from './writer.ts'

/**
 * The cached slice that maps `at`, ready to be changed until the next await; read if need be. The L2 table is our own.
 *
 * @internal
 */
export function cachedSlice(writer: Qcow2Writer, at: number): TableEntry | undefined {
  return writer.image.l2Cache.peek(writer.image.mapper.sliceOffset(at))
}

/** Drops the reference that entry `index` has to its host cluster or compressed data, if it has one. @internal */
export function dropEntry(writer: Qcow2Writer, slice: TableEntry, index: number, reason: FreeReason): void {
  const { geometry, context, clusterSize, compressed, externalData } = writer.image
  const hi = slice.view.getUint32(index * geometry.l2EntrySize)
  const lo = slice.view.getUint32(index * geometry.l2EntrySize + 4)
  if (hi === 0 && lo === 0) return
  switch (classifyCluster(context, hi, lo)) {
    case 'normal':
    case 'zero-alloc':
      // Clusters of a data file are not counted.
      if (!externalData) writer.frees.add(l2HostOffset(hi, lo) / clusterSize, 1, reason)
      break
    case 'compressed': {
      const offset = compressedOffset(geometry, hi, lo)
      const first = Math.floor(offset / clusterSize)
      const last = Math.floor((offset + compressedLength(geometry, hi, lo) - 1) / clusterSize)
      compressed.forget(offset)
      writer.frees.add(first, last - first + 1, reason)
      break
    }
    case 'unallocated':
    case 'zero-plain':
      break
  }
}

/** Guest bytes that have been written to host clusters. @internal */
export interface Written {
  /** First byte that is in the host clusters now. */
  readonly from: number
  /** Behind the last one. */
  readonly to: number
  /** Host offset of the cluster of `from`. */
  readonly host: number
  /** The clusters were in the entries already. */
  readonly reuse: boolean
}

/** Makes the L2 entries of one slice point to where the data is now, and drops what they pointed to. @internal */
export function link(writer: Qcow2Writer, slice: TableEntry, written: Written): void {
  const { image } = writer
  const { geometry, clusterSize, mapper } = image
  const firstCluster = Math.floor(written.from / clusterSize)
  const first = mapper.indexInSlice(written.from)
  const count = Math.ceil(written.to / clusterSize) - firstCluster
  const end = first + count
  if (!written.reuse) {
    // Most clusters are written for the first time.
    for (let index = first + emptyL2Run(geometry, slice.view, first, end); index < end; index++) dropEntry(writer, slice, index, 'other')
  }
  if (geometry.extendedL2) {
    for (let i = 0; i < count; i++) linkSubclusters(writer, slice, first + i, (firstCluster + i) * clusterSize, written)
  }
  setL2Run(geometry, slice.view, first, count, written.host)
  if (!image.externalData) writer.frees.filled(Math.floor(written.host / clusterSize), count)
  image.l2Cache.markDirty(slice, first * geometry.l2EntrySize, count * geometry.l2EntrySize)
  writer.relieveEarly()
}

function linkSubclusters(writer: Qcow2Writer, slice: TableEntry, index: number, cluster: number, written: Written): void {
  const { geometry, clusterSize, context } = writer.image
  const from = Math.max(0, written.from - cluster) / geometry.subclusterSize
  const to = Math.min(clusterSize, written.to - cluster) / geometry.subclusterSize
  const mask = subclusterMask(Math.floor(from), Math.ceil(to))
  const isCompressed = classifyCluster(context, slice.view.getUint32(index * 16), slice.view.getUint32(index * 16 + 4)) === 'compressed'
  // The bitmap of a compressed cluster means nothing; all of it was copied.
  const zero = isCompressed ? 0 : subclustersZero(slice.view, index)
  // What a shared cluster held was copied, so it is in `mask`.
  const allocated = written.reuse ? subclustersAllocated(slice.view, index) : 0
  setSubclusters(slice.view, index, (allocated | mask) >>> 0, (zero & (ALL_SUBCLUSTERS - mask)) >>> 0)
}
