import { decodeHeaderArea } from '../../src/on-disk/header-area.ts'
import { refcountBlockOffset, refcountCodec } from '../../src/on-disk/refcount.ts'
import { compressedLength, compressedOffset } from '../../src/on-disk/l2-compressed.ts'

/**
 * Walks over all metadata of an image without snapshots, independently of the driver, and names what is corrupt:
 * references without a refcount, two owners of a place, wrong COPIED flags, tables behind the end.
 */
export function findCorruptions(image: Uint8Array): string[] {
  const problems: string[] = []
  const { header, geometry } = decodeHeaderArea(image)
  const { clusterSize } = geometry
  const padded = new Uint8Array(Math.ceil(image.length / clusterSize) * clusterSize)
  padded.set(image)
  const view = new DataView(padded.buffer)
  const references = new Map<number, number>()
  const owners = new Map<number, string>()
  const refer = (offset: number, bytes: number, what: string, isShared = false): boolean => {
    if (offset % clusterSize !== 0 && !isShared) problems.push(`${what}: unaligned ${offset}`)
    if (offset + bytes - image.length >= clusterSize) problems.push(`${what}: behind the end of the file`)
    for (let cluster = Math.floor(offset / clusterSize); cluster * clusterSize < offset + bytes; cluster++) {
      references.set(cluster, (references.get(cluster) ?? 0) + 1)
      const owner = owners.get(cluster)
      if (owner !== undefined && !(isShared && owner === 'compressed')) problems.push(`${what}: cluster ${cluster} belongs to ${owner}`)
      owners.set(cluster, isShared ? 'compressed' : what)
    }
    return offset + clusterSize <= padded.length
  }
  refer(0, clusterSize, 'header')
  refer(header.l1Offset, header.l1Entries * 8, 'L1')
  refer(header.refcountTableOffset, header.refcountTableClusters * clusterSize, 'refcount table')
  const copied: { offset: number; what: string }[] = []
  for (let i = 0; i < header.l1Entries; i++) {
    const hi = view.getUint32(header.l1Offset + i * 8)
    const table = (hi & 0xffffff) * 2 ** 32 + (view.getUint32(header.l1Offset + i * 8 + 4) & ~0x1ff)
    if (table === 0) continue
    if (hi < 0x8000_0000) problems.push(`L1 ${i}: not COPIED`)
    copied.push({ offset: table, what: `L2 table ${i}` })
    if (!refer(table, clusterSize, `L2 table ${i}`)) continue
    for (let j = 0; j < geometry.l2Entries; j++) {
      const at = table + j * geometry.l2EntrySize
      const [entryHi, lo] = [view.getUint32(at), view.getUint32(at + 4)]
      const what = `entry ${i}/${j}`
      if ((entryHi & 0x4000_0000) !== 0) {
        if (entryHi >= 0x8000_0000) problems.push(`${what}: compressed and COPIED`)
        const offset = compressedOffset(geometry, entryHi, lo)
        const start = offset - (offset % 512)
        refer(start, compressedLength(geometry, entryHi, lo) + (offset % 512), what, true)
        continue
      }
      const host = (entryHi & 0xffffff) * 2 ** 32 + ((lo & ~0x1ff) >>> 0)
      if (geometry.extendedL2) {
        const [zero, allocated] = [view.getUint32(at + 8), view.getUint32(at + 12)]
        if ((zero & allocated) !== 0 || (host === 0 && allocated !== 0 && !header.features.externalData)) problems.push(`${what}: bad bitmap`)
      }
      if (header.features.externalData) continue
      if (host === 0) {
        if (entryHi !== 0) problems.push(`${what}: flags without a cluster`)
        continue
      }
      copied.push({ offset: host, what })
      if (entryHi < 0x8000_0000) problems.push(`${what}: not COPIED`)
      refer(host, clusterSize, what)
    }
  }
  const codec = refcountCodec(geometry.refcountBits)
  const table = new DataView(padded.buffer, header.refcountTableOffset, header.refcountTableClusters * clusterSize)
  const blocks = new Map<number, DataView>()
  for (let i = 0; i < table.byteLength / 8; i++) {
    const offset = refcountBlockOffset(table, i)
    if (offset === 0) continue
    if (refer(offset, clusterSize, `refcount block ${i}`)) blocks.set(i, new DataView(padded.buffer, offset, clusterSize))
    else problems.push(`refcount block ${i}: behind the end`)
  }
  const refcount = (cluster: number): number => {
    const block = blocks.get(Math.floor(cluster / geometry.refcountBlockEntries))
    return block === undefined ? 0 : codec.get(block, cluster % geometry.refcountBlockEntries)
  }
  for (const [cluster, count] of references) {
    if (refcount(cluster) < count) problems.push(`cluster ${cluster} (${owners.get(cluster)}): refcount ${refcount(cluster)}, references ${count}`)
  }
  for (const { offset, what } of copied) {
    if (refcount(offset / clusterSize) !== 1) problems.push(`${what}: COPIED, but refcount ${refcount(offset / clusterSize)}`)
  }
  return problems
}
