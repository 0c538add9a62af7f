import type { Allocated } from './allocator.ts'
import { release } from './release.ts'
import type { Qcow2Writer } from './writer.ts'

/**
 * Allocates exactly `want` neighbouring host clusters with refcount 1, for tables that must be in one piece.
 *
 * A new refcount block lies in the range that it counts, so a longer run would never be found between two of them. Then
 * the blocks lie in front of the run, behind everything that is counted so far.
 *
 * @internal
 */
export async function allocateRun(writer: Qcow2Writer, want: number): Promise<Allocated> {
  const { refcountBlockEntries: entries } = writer.image.geometry
  if (want < entries) return writer.allocator.allocate(want, true)
  let blocks = 1
  while (blocks * entries < blocks + want) blocks++
  for (;;) {
    const run = await tryRun(writer, blocks, want)
    if (run !== undefined) return run
  }
}

/** Tries it at the end of what is counted; `undefined` if somebody else made a block there meanwhile. */
async function tryRun(writer: Qcow2Writer, blocks: number, want: number): Promise<Allocated | undefined> {
  const { refcounts, overlap, allocator, image } = writer
  const { refcountBlockEntries: entries } = image.geometry
  let index = refcounts.tableEntries
  while (index > 0 && refcounts.blockOffset(index - 1) === 0) index--
  if (index + blocks > refcounts.tableEntries) {
    await writer.growTable()
    return undefined
  }
  const base = index * entries
  const end = base + blocks + want
  overlap.assertFree(base, blocks + want)
  allocator.used(base, blocks + want)
  let made = 0
  try {
    while (made < blocks) {
      // What counts a new block must be on disk before the table points to that block.
      if (made > 0) await writer.committer.run(true)
      const next = made === 0 ? 1 : Math.min(blocks, made * entries)
      for (; made < next; made++) {
        const cluster = base + made
        while (made > 0 && refcounts.slice(cluster) === undefined) await refcounts.load(cluster)
        if (refcounts.blockOffset(index + made) !== 0) {
          await giveUp(writer, base, made, end)
          return undefined
        }
        refcounts.createBlock(index + made, cluster)
        overlap.addTable(cluster, 'refcount block')
        takeAll(writer, base + made * entries, Math.min(end, base + (made + 1) * entries))
      }
    }
  } catch (error) {
    await giveUp(writer, base, made, end).catch(() => {})
    throw error
  }
  return { first: base + blocks, count: want, virgin: false }
}

/** The block that counts clusters `from` … `end - 1` is new, and in memory. */
function takeAll(writer: Qcow2Writer, from: number, end: number): void {
  const { refcounts } = writer
  for (let at = from; at < end; ) {
    const next = Math.min(end, at - (at % refcounts.perSlice) + refcounts.perSlice)
    refcounts.setRun(refcounts.slice(at)!, at, next - at, 1)
    at = next
  }
}

/** The blocks that were made stay; everything else that they count is free. */
async function giveUp(writer: Qcow2Writer, base: number, made: number, end: number): Promise<void> {
  const counted = Math.min(end, base + made * writer.image.geometry.refcountBlockEntries)
  await release(writer, [{ first: base + made, count: counted - base - made, reason: 'other' }])
}
