import { discardKept } from './keep-clusters.ts'
import type { PendingFree } from './pending-frees.ts'
import type { Qcow2Writer } from './writer.ts'

/**
 * Drops one reference to each of the given clusters now: nothing on disk points to them any more, or ever did. Clusters
 * without references are discarded in the file if the options say so, then they can be allocated again.
 *
 * Clusters whose refcount cannot be read stay in use: they leak, which a check repairs.
 *
 * @internal
 */
export async function release(writer: Qcow2Writer, frees: readonly PendingFree[]): Promise<void> {
  for (const free of frees) {
    const { first, count, reason, guest, since } = free
    if (guest !== undefined && since !== undefined) {
      // Advice only: whatever prevents it, the entries are right.
      await discardKept(writer, { ...free, guest, since }).catch(() => {})
      writer.frees.keptDone()
      continue
    }
    for (let cluster = first; cluster < first + count; ) {
      const run = await freeRun(writer, cluster, first + count)
      const shouldDiscard = writer.image.options[`pass-discard-${reason}`]
      // A hostile image can claim that a guest's cluster is where its own structures are, even in the first cluster.
      if (run > 0 && shouldDiscard && cluster > 0 && writer.overlap.find(cluster, run) === undefined) {
        // Before anybody can store something there again.
        const { clusterSize, file } = writer.image
        await file.discard(cluster * clusterSize, run * clusterSize).catch(() => {})
      }
      for (const end = cluster + Math.max(1, run); cluster < end; cluster++) await dropReference(writer, cluster)
    }
  }
}

/**
 * How many clusters from `cluster` on lose their last reference. Compressed data, which could give them a new one, is
 * kept away from them from the moment that they are counted.
 */
async function freeRun(writer: Qcow2Writer, cluster: number, end: number): Promise<number> {
  const { refcounts, allocator } = writer
  let run = 0
  while (cluster + run < end) {
    const refcount = refcounts.get(cluster + run)
    if (refcount === undefined) {
      await refcounts.load(cluster + run)
      continue
    }
    // The header's cluster belongs to nobody, whatever a damaged table says: see dropReference.
    if (refcount !== 1 || cluster + run === 0) break
    allocator.leave(cluster + run)
    run++
  }
  return run
}

async function dropReference(writer: Qcow2Writer, cluster: number): Promise<void> {
  const { refcounts, allocator } = writer
  if (cluster === 0) {
    writer.image.corruption.found('Cluster 0, which holds the header, was freed')
    return
  }
  while (refcounts.get(cluster) === undefined) await refcounts.load(cluster)
  const refcount = refcounts.get(cluster)!
  if (refcount === 0) {
    writer.image.corruption.found(`Cluster ${cluster} was freed although its refcount is 0`)
    return
  }
  refcounts.set(cluster, refcount - 1)
  if (refcount === 1) allocator.freed(cluster)
}
