import { isBlockError, RequestFlag, type Attempt } from '@blockloom/block-driver'
import type { TableEntry } from '@blockloom/driver-kit'
import { changeEntries } from './change-entries.ts'
import { unmapDataFile, zeroRawDataFile } from './data-file-zero.ts'
import { zeroKeepingCluster } from './keep-clusters.ts'
import { dropEntry } from './link.ts'
import { classifyCluster, l2ZeroFlag, setL2Entry, setL2Halves } from './on-disk/l2.ts'
import { ALL_SUBCLUSTERS, setSubclusters, subclusterMask, subclustersAllocated, subclustersZero } from './on-disk/l2-subclusters.ts'
import type { FreeReason } from './pending-frees.ts'
import { unallocateGuest } from './unallocate.ts'
import type { Qcow2Writer } from './writer.ts'

/**
 * Makes a range read as zeroes by changing its L2 entries: whole clusters, or whole subclusters if the image has them;
 * the last one may reach past the end of the disk.
 *
 * With MAY_UNMAP the host clusters become free, otherwise they stay for later writes. Version 2 has no such entries: there
 * they become free in any case. `unsupported`: it cannot do that either with a backing file, which would show; and a part
 * of a compressed cluster cannot be changed.
 *
 * @internal
 */
export async function zeroGuest(writer: Qcow2Writer, offset: number, bytes: number, flags: number): Promise<Attempt> {
  const { image } = writer
  const { clusterSize, externalData, geometry } = image
  const unmap = (flags & RequestFlag.MAY_UNMAP) !== 0
  const end = offset + bytes === image.header.size ? Math.ceil((offset + bytes) / clusterSize) * clusterSize : offset + bytes
  if (image.version < 3) return unallocateGuest(writer, offset, end)
  if (geometry.extendedL2 && (await cutsCompressed(writer, offset, end))) return 'unsupported'
  const claim = image.header.features.rawExternalData
    ? (at: number, to: number) => zeroRawDataFile(image, at, to, flags)
    : externalData && unmap && image.options['pass-discard-request']
      ? (at: number, to: number) => unmapDataFile(image, at, to)
      : undefined
  const changed = changeEntries(
    writer,
    offset,
    end,
    (slice, index, count, at, to) => {
      for (let i = 0; i < count; i++) {
        if (geometry.extendedL2) {
          const cluster = Math.floor(at / clusterSize) + i
          const from = Math.max(0, at - cluster * clusterSize) / geometry.subclusterSize
          const upTo = Math.min(clusterSize, to - cluster * clusterSize) / geometry.subclusterSize
          zeroSubclusters(writer, slice, index + i, from, upTo, unmap, cluster)
        } else {
          zeroEntry(writer, slice, index + i, unmap, Math.floor(at / clusterSize) + i)
        }
      }
    },
    claim === undefined ? {} : { claim },
  )
  try {
    await changed
  } catch (error) {
    if (claim !== undefined && isBlockError(error, 'unsupported')) return 'unsupported'
    throw error
  }
  return 'done'
}

function zeroEntry(writer: Qcow2Writer, slice: TableEntry, index: number, unmap: boolean, cluster: number): void {
  if (unmap && zeroKeepingCluster(writer, slice, index, cluster)) return
  const { geometry, context } = writer.image
  const hi = slice.view.getUint32(index * 8)
  const lo = slice.view.getUint32(index * 8 + 4)
  const kind = classifyCluster(context, hi, lo)
  if (kind === 'normal' && !unmap) {
    if (!l2ZeroFlag(lo)) setL2Halves(geometry, slice.view, index, hi, lo + 1)
  } else if (kind !== 'zero-alloc' || unmap) {
    // Nobody asked for space of the host: compressed data goes because it has no place in the entry any more.
    zeroPlain(writer, slice, index, unmap ? 'request' : 'other')
  }
}

/** Makes an entry read as zeroes and drops its host cluster. @internal */
export function zeroPlain(writer: Qcow2Writer, slice: TableEntry, index: number, reason: FreeReason): void {
  const { geometry } = writer.image
  dropEntry(writer, slice, index, reason)
  setL2Entry(geometry, slice.view, index, 0, false, !geometry.extendedL2)
  if (geometry.extendedL2) setSubclusters(slice.view, index, 0, ALL_SUBCLUSTERS)
}

function zeroSubclusters(writer: Qcow2Writer, slice: TableEntry, index: number, from: number, to: number, unmap: boolean, cluster: number): void {
  const isWhole = from === 0 && to === 32
  if (isWhole && unmap && zeroKeepingCluster(writer, slice, index, cluster)) return
  const { context } = writer.image
  const kind = classifyCluster(context, slice.view.getUint32(index * 16), slice.view.getUint32(index * 16 + 4))
  if (isWhole && (unmap || kind !== 'normal')) {
    zeroPlain(writer, slice, index, unmap ? 'request' : 'other')
    return
  }
  const mask = subclusterMask(from, to)
  const allocated = subclustersAllocated(slice.view, index)
  setSubclusters(slice.view, index, (allocated & (ALL_SUBCLUSTERS - mask)) >>> 0, (subclustersZero(slice.view, index) | mask) >>> 0)
}

/** True if the range begins or ends inside a compressed cluster. */
async function cutsCompressed(writer: Qcow2Writer, offset: number, end: number): Promise<boolean> {
  const { mapper, clusterSize } = writer.image
  for (const edge of [offset, end]) {
    if (edge % clusterSize === 0) continue
    const start = edge - (edge % clusterSize)
    while (!mapper.lookup(start, edge)) await mapper.load(start)
    if (mapper.kind === 'compressed') return true
  }
  return false
}
