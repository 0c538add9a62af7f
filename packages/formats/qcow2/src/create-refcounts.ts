import type { ChildHandle } from '@blockloom/block-driver'
import type { ClusterLayout } from './create-layout.ts'
import { BatchWriter } from './create-writer.ts'
import { viewOf } from './on-disk/integers.ts'
import { refcountCodec, setRefcountBlockOffset } from './on-disk/refcount.ts'
import type { Geometry } from './units.ts'

/** Writes the refcount blocks and the refcount table: 1 for every cluster that the layout uses. @internal */
export async function writeRefcounts(
  file: ChildHandle,
  geometry: Geometry,
  layout: ClusterLayout,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { clusterSize, refcountBlockEntries } = geometry
  const batch = new BatchWriter(file)
  const table = new Uint8Array(layout.table.count * clusterSize)
  // Made if a preallocated image is so large that it has one; then it has many.
  let full: Uint8Array | undefined
  for (const [index, place] of layout.blocks.entries()) {
    if (!place) continue
    signal?.throwIfAborted()
    setRefcountBlockOffset(viewOf(table), index, place * clusterSize)
    const first = index * refcountBlockEntries
    const end = first + refcountBlockEntries
    const whole = end <= layout.end && !layout.gaps.some((gap) => gap.first < end && gap.first + gap.count > first)
    if (whole) full ??= blockOf(geometry, layout, 0, Infinity)
    await batch.write(place * clusterSize, (whole ? full : undefined) ?? blockOf(geometry, layout, first, layout.end))
  }
  await batch.write(layout.table.first * clusterSize, table)
  await batch.finish()
}

/** The refcount block whose first entry is that of cluster `first`. */
function blockOf(geometry: Geometry, layout: ClusterLayout, first: number, end: number): Uint8Array {
  const codec = refcountCodec(geometry.refcountBits)
  const bytes = new Uint8Array(geometry.clusterSize)
  const view = viewOf(bytes)
  const used = Math.min(geometry.refcountBlockEntries, end - first)
  codec.fill(view, 0, used, 1)
  if (end === Infinity) return bytes
  for (const gap of layout.gaps) {
    const from = Math.max(0, gap.first - first)
    const to = Math.min(used, gap.first + gap.count - first)
    codec.fill(view, from, to - from, 0)
  }
  return bytes
}
