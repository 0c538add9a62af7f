import { BlockError } from '@blockloom/block-driver'
import { hex } from './corruption.ts'
import type { Qcow2Image } from './image.ts'
import { inParallel } from './in-parallel.ts'
import { viewOf } from './on-disk/integers.ts'
import { l1Hi, l1Lo, l1TableOffset } from './on-disk/l1.ts'
import { compressedLength, compressedOffset } from './on-disk/l2-compressed.ts'
import { classifyCluster, isUsableClusterOffset, l2Copied, l2HostOffset, setL2Halves, withCopied } from './on-disk/l2.ts'
import type { RefcountDeltas } from './refcount-deltas.ts'
import type { Geometry } from './units.ts'

/** An L2 table that is in use, as it is on disk. @internal */
export interface L2Table {
  readonly l1Index: number
  readonly offset: number
  readonly view: DataView
}

/** L2 tables that are read together. */
const BATCH = 8

/**
 * Visits the L2 tables of an L1 table in order; `wanted` leaves some out before they are read.
 *
 * @throws BlockError `corrupt` for a table that cannot be where it should be, or is used twice
 * @internal
 */
export async function eachL2Table(
  image: Qcow2Image,
  l1: DataView,
  wanted: (l1Index: number, offset: number) => boolean,
  visit: (table: L2Table) => Promise<void>,
): Promise<void> {
  const seen = new Set<number>()
  let batch: L2Table[] = []
  const flush = async (): Promise<void> => {
    const tables = batch
    batch = []
    await inParallel(tables, ({ offset, view }) => image.file.read(offset, new Uint8Array(view.buffer)))
    for (const table of tables) await visit(table)
  }
  for (let l1Index = 0; l1Index < l1.byteLength / 8; l1Index++) {
    const offset = l1TableOffset(l1Hi(l1, l1Index), l1Lo(l1, l1Index))
    if (offset === 0) continue
    if (!isUsableClusterOffset(image.geometry, offset)) {
      throw image.corruption.found(`L2 table offset ${hex(offset)} unaligned (L1 index: ${hex(l1Index)})`)
    }
    // Otherwise a small image could keep us busy for ever.
    if (seen.has(offset)) throw new BlockError('corrupt', `L2 table offset ${hex(offset)} is used twice (L1 index: ${hex(l1Index)})`, { errno: 'EIO' })
    seen.add(offset)
    if (!wanted(l1Index, offset)) continue
    batch.push({ l1Index, offset, view: viewOf(new Uint8Array(image.clusterSize)) })
    if (batch.length === BATCH) await flush()
  }
  await flush()
}

/** Adds `by` to the refcounts of all clusters that the entries of an L2 table refer to. @internal */
export async function addReferences(image: Qcow2Image, deltas: RefcountDeltas, table: L2Table, by: number): Promise<void> {
  const { geometry, context, clusterSize } = image
  const { view } = table
  for (let i = 0; i < geometry.l2Entries; i++) {
    const at = i * geometry.l2EntrySize
    const hi = view.getUint32(at)
    const lo = view.getUint32(at + 4)
    switch (classifyCluster(context, hi, lo)) {
      case 'normal':
      case 'zero-alloc': {
        const cluster = hostCluster(image, geometry, table, i, hi, lo)
        while (!deltas.tryAdd(cluster, by)) await deltas.load(cluster)
        break
      }
      case 'compressed': {
        const offset = compressedOffset(geometry, hi, lo)
        const first = Math.floor(offset / clusterSize)
        const last = Math.floor((offset + compressedLength(geometry, hi, lo) - 1) / clusterSize)
        await deltas.add(first, last - first + 1, by)
        break
      }
      case 'unallocated':
      case 'zero-plain':
        break
    }
  }
}

/** True if an entry says that its cluster is not shared. @internal */
export function hasCopiedEntries(image: Qcow2Image, { view }: L2Table): boolean {
  const { geometry } = image
  for (let i = 0; i < geometry.l2Entries; i++) if (l2Copied(view.getUint32(i * geometry.l2EntrySize))) return true
  return false
}

/** Takes the COPIED flag from all entries. @internal */
export function clearCopied(image: Qcow2Image, { view }: L2Table): void {
  const { geometry } = image
  for (let i = 0; i < geometry.l2Entries; i++) {
    const at = i * geometry.l2EntrySize
    view.setUint32(at, withCopied(view.getUint32(at), false))
  }
}

/**
 * Sets the COPIED flag of each entry as the refcounts will be.
 *
 * @returns whether anything changed
 * @internal
 */
export async function renewCopied(image: Qcow2Image, deltas: RefcountDeltas, table: L2Table): Promise<boolean> {
  const { geometry, context } = image
  const { view } = table
  let changed = false
  for (let i = 0; i < geometry.l2Entries; i++) {
    const at = i * geometry.l2EntrySize
    const hi = view.getUint32(at)
    const lo = view.getUint32(at + 4)
    const kind = classifyCluster(context, hi, lo)
    if (kind !== 'normal' && kind !== 'zero-alloc') continue
    const cluster = hostCluster(image, geometry, table, i, hi, lo)
    const known = deltas.get(cluster)
    if (known === undefined) await deltas.load(cluster)
    const copied = (known ?? deltas.get(cluster)) === 1
    if (copied === l2Copied(hi)) continue
    setL2Halves(geometry, view, i, withCopied(hi, copied), lo)
    changed = true
  }
  return changed
}

function hostCluster(image: Qcow2Image, geometry: Geometry, table: L2Table, index: number, hi: number, lo: number): number {
  const offset = l2HostOffset(hi, lo)
  if (!isUsableClusterOffset(geometry, offset)) {
    throw image.corruption.found(`Cluster allocation offset ${hex(offset)} unaligned (L2 offset: ${hex(table.offset)}, L2 index: ${hex(index)})`)
  }
  return offset / geometry.clusterSize
}
