import type { TableEntry } from '@blockloom/driver-kit'
import { cachedSlice } from './link.ts'
import { ownTable } from './own-table.ts'
import type { Qcow2Writer } from './writer.ts'

/** Changes `count` entries of a slice from `index` on, which map `at` … `end`. @internal */
export type EntryChange = (slice: TableEntry, index: number, count: number, at: number, end: number) => void

/**
 * Walks over the L2 entries that map `offset` … `end`, slice by slice, and changes each part in one turn, when nobody
 * else is changing these clusters. Missing and shared L2 tables are made our own first, unless `skipMissing` says that
 * a missing one needs no change.
 *
 * @param claim - also keeps others away from the part while it runs, before the entries change
 * @internal
 */
export async function changeEntries(
  writer: Qcow2Writer,
  offset: number,
  end: number,
  change: EntryChange,
  how: { readonly skipMissing?: boolean; readonly claim?: (at: number, end: number) => Promise<void> } = {},
): Promise<void> {
  const { image, inFlight } = writer
  const { mapper, l1, clusterSize, geometry } = image
  if (!writer.ready) await writer.prepare()
  for (let at = offset; at < end; ) {
    image.corruption.assertWritable()
    const l1Index = Math.floor(at / geometry.l2Coverage)
    if (how.skipMissing === true && l1.tableOffset(l1Index) === 0 && !writer.tablesUnderWay.has(l1Index)) {
      at = Math.min(end, (l1Index + 1) * geometry.l2Coverage)
      continue
    }
    if (!l1.copied(l1Index)) {
      await ownTable(writer, l1Index)
      continue
    }
    const slice = cachedSlice(writer, at)
    if (slice === undefined) {
      await mapper.load(at)
      continue
    }
    writer.overlap.assertTable(slice.offset)
    const first = Math.floor(at / clusterSize)
    const index = mapper.indexInSlice(at)
    const partEnd = Math.min(end, (first - index) * clusterSize + mapper.sliceCoverage)
    const count = Math.ceil(partEnd / clusterSize) - first
    const other = inFlight.find(first, first + count)
    if (other !== undefined) {
      await other.done
      continue
    }
    for (let i = 0; i < count; i++) mapper.assertValid(slice, index + i, first + i)
    if (how.claim === undefined) {
      apply(writer, slice, index, count, at, partEnd, change)
    } else {
      const flight = inFlight.add(first, first + count)
      try {
        await how.claim(at, partEnd)
        let current = cachedSlice(writer, at)
        while (current === undefined) {
          await mapper.load(at)
          current = cachedSlice(writer, at)
        }
        apply(writer, current, index, count, at, partEnd, change)
      } finally {
        flight.finish()
      }
    }
    at = partEnd
  }
}

function apply(writer: Qcow2Writer, slice: TableEntry, index: number, count: number, at: number, end: number, change: EntryChange): void {
  const { l2EntrySize } = writer.image.geometry
  change(slice, index, count, at, end)
  writer.image.l2Cache.markDirty(slice, index * l2EntrySize, count * l2EntrySize)
  writer.relieveEarly()
}
