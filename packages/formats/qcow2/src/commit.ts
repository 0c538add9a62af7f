import type { ChildHandle } from '@blockloom/block-driver'
import { hasLazyRefcounts, markDirty } from './lazy-refcounts.ts'
import { settle, settleAll } from './settle.ts'
import type { Qcow2Writer } from './writer.ts'

/**
 * Writes all changed metadata, in the order that keeps the image valid whatever part of it reaches the disk:
 *
 * 1. refcount blocks; then, behind a flush, the refcount table entries of new ones
 * 2. a flush: refcounts and all guest data so far are stable, the data file's too
 * 3. L2 tables; then, behind a flush, the L1 entries of new ones
 * 4. a flush: from here on nothing on disk points to the clusters that were dropped
 * 5. not waited for: when all requests that may still use those clusters are over, they become free
 *
 * Everything is copied at the start, in one turn: what a copied table points to has its refcount in the copies too.
 * Changes made meanwhile are for the next commit. A failure makes dirty again what was not written.
 *
 * @param stable - flush at the end even if there was nothing to write
 * @param lazy - leave out step 1 if the image has lazy refcounts; it is marked dirty instead
 * @internal
 */
export async function commit(writer: Qcow2Writer, stable: boolean, lazy = false): Promise<void> {
  using _turn = writer.structure.tryAcquire() ?? (await writer.structure.acquire())
  await commitLocked(writer, stable, lazy && hasLazyRefcounts(writer.image))
}

/** {@link commit} for those who hold the structure mutex. @internal */
export async function commitLocked(writer: Qcow2Writer, stable: boolean, withoutRefcounts = false): Promise<void> {
  const { image, refcounts, frees } = writer
  const { file, l1, l2Cache } = image
  const dropped = frees.take()
  let l1Writes = l1.takeDirty()
  const tables = l2Cache.takeDirty()
  // What is dropped becomes free behind this commit: that is for the next one, which may never come.
  const isBehind = withoutRefcounts && (refcounts.tableDirty || refcounts.cache.dirtyBytes > 0 || dropped.length > 0 || writer.isFreeing)
  let tableWrites = withoutRefcounts ? [] : refcounts.takeDirtyTable()
  const blocks = withoutRefcounts ? null : refcounts.cache.takeDirty()
  let tablesTaken = true
  try {
    const hasTables = !tables.empty || l1Writes.length > 0
    if (isBehind) await markDirty(image)
    await blocks?.write()
    if (tableWrites.length > 0) {
      await file.flush('stable')
      await writeAll(file, tableWrites)
      tableWrites = []
    }
    if (hasTables) {
      await flushAll(writer)
      tablesTaken = false
      await tables.write()
      if (l1Writes.length > 0) {
        await file.flush('stable')
        await writeAll(file, l1Writes)
        l1Writes = []
      }
      await file.flush('stable')
    } else if (stable || dropped.length > 0) {
      await flushAll(writer)
    }
  } catch (error) {
    frees.giveBack(dropped)
    throw error
  } finally {
    if (tablesTaken) tables.restore()
    l1.giveBack(l1Writes)
    refcounts.giveBackTable(tableWrites)
  }
  writer.freeLater(dropped)
}

async function flushAll(writer: Qcow2Writer): Promise<void> {
  const { file, dataFile } = writer.image
  const files = dataFile === null || dataFile === file ? [file] : [file, dataFile]
  // Both end before a failure is reported: nothing is left in flight.
  await settleAll(files.map((child) => settle(child.flush('stable'))))
}

async function writeAll(file: ChildHandle, writes: readonly { readonly offset: number; readonly bytes: Uint8Array }[]): Promise<void> {
  for (const { offset, bytes } of writes) await file.write(offset, bytes)
}
