import { BlockError } from '@blockloom/block-driver'
import type { TableEntry } from '@blockloom/driver-kit'
import type { Qcow2Image } from './image.ts'
import { classifyCluster, l2Copied, l2HostOffset, l2ZeroFlag, setL2Halves } from './on-disk/l2.ts'
import { ALL_SUBCLUSTERS, setSubclusters } from './on-disk/l2-subclusters.ts'
import type { PendingKept } from './pending-frees.ts'
import type { Qcow2Writer } from './writer.ts'

/** @throws BlockError `invalid` if the image has no entries that could keep a cluster @internal */
export function assertCanKeepClusters(image: Qcow2Image): void {
  if (!image.options['discard-no-unref'] || image.version >= 3) return
  throw new BlockError('invalid', 'discard-no-unref is only supported since qcow2 version 3', { detail: { option: 'discard-no-unref' } })
}

/**
 * Makes the entry of a guest cluster read as zeroes while its host cluster stays allocated, as the option
 * `discard-no-unref` wants it: refcounts do not change, and the next write goes to the same place. Whether the old bytes
 * are discarded in the file, `pass-discard-request` says; that happens once the entry is stable.
 *
 * @returns false if the caller has to drop what the entry has: nothing that could be kept, or shared with a snapshot
 * @internal
 */
export function zeroKeepingCluster(writer: Qcow2Writer, slice: TableEntry, index: number, guestCluster: number): boolean {
  const { image, frees } = writer
  const { geometry, context, options, clusterSize } = image
  if (!options['discard-no-unref'] || image.externalData) return false
  const hi = slice.view.getUint32(index * geometry.l2EntrySize)
  const lo = slice.view.getUint32(index * geometry.l2EntrySize + 4)
  const kind = classifyCluster(context, hi, lo)
  if ((kind !== 'normal' && kind !== 'zero-alloc') || !l2Copied(hi)) return false
  if (geometry.extendedL2) setSubclusters(slice.view, index, 0, ALL_SUBCLUSTERS)
  else if (!l2ZeroFlag(lo)) setL2Halves(geometry, slice.view, index, hi, lo + 1)
  if (options['pass-discard-request']) frees.addKept(l2HostOffset(hi, lo) / clusterSize, guestCluster)
  return true
}

/**
 * Discards in the file what was kept, as far as it has been zeroes ever since: what was written later may be stable, and
 * that it became zeroes again may not. Others who want to change these clusters wait meanwhile.
 *
 * @internal
 */
export async function discardKept(writer: Qcow2Writer, kept: PendingKept): Promise<void> {
  const { image, inFlight, frees } = writer
  const { mapper, file, clusterSize } = image
  const end = kept.guest + kept.count
  for (let cluster = kept.guest; cluster < end; ) {
    const at = cluster * clusterSize
    if (!mapper.lookup(at, end * clusterSize)) {
      await mapper.load(at)
      continue
    }
    const first = kept.first + cluster - kept.guest
    const host = first * clusterSize
    const zeroes = mapper.kind === 'zero-alloc' && mapper.host === host ? Math.floor(mapper.bytes / clusterSize) : 0
    const free = Math.min(zeroes, (inFlight.find(cluster, cluster + zeroes)?.first ?? Infinity) - cluster)
    const count = frees.unfilledSince(kept.since, first, free)
    if (count <= 0) {
      cluster++
      continue
    }
    const flight = inFlight.add(cluster, cluster + count)
    try {
      await file.discard(host, count * clusterSize)
    } finally {
      flight.finish()
    }
    cluster += count
  }
}
