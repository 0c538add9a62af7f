import type { BlockNode, BlockStatus } from '@blockloom/block-core'
import type { StreamRange } from './streams.ts'

/** A run of the virtual disk. @public */
export interface DiskExtent extends Omit<BlockStatus, 'bytes'> {
  readonly offset: number
  readonly length: number
}

/** Longest range asked about at once; answers are merged, so it shows nowhere. */
const STEP = 1 << 40

/** @internal */
export async function* diskExtents(node: BlockNode, range: StreamRange): AsyncGenerator<DiskExtent, void, undefined> {
  const end = Math.min(range.end ?? node.size, node.size)
  let pending: DiskExtent | undefined
  for (let at = range.start ?? 0; at < end; ) {
    range.signal?.throwIfAborted()
    const { bytes, ...status } = await node.status(at, Math.min(STEP, end - at))
    const next: DiskExtent = { offset: at, length: bytes, ...status }
    const merged: DiskExtent | null = merge(pending, next)
    if (merged === null && pending !== undefined) yield pending
    pending = merged ?? next
    at += bytes
  }
  if (pending !== undefined) yield pending
}

/** One run out of two neighbours, if they say the same. */
function merge(a: DiskExtent | undefined, b: DiskExtent): DiskExtent | null {
  return a !== undefined && continues(a, b) ? { ...a, length: a.length + b.length } : null
}

function continues(a: DiskExtent, b: DiskExtent): boolean {
  if (a.zero !== b.zero || a.data !== b.data || a.allocated !== b.allocated || a.depth !== b.depth) return false
  if (a.encoded !== b.encoded || a.compressed !== b.compressed) return false
  if (a.host === undefined || b.host === undefined) return a.host === b.host
  return a.host.node === b.host.node && a.host.offset + a.length === b.host.offset
}
