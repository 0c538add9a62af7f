import { decodeBitmapDirectory } from '../../src/on-disk/bitmap-directory.ts'
import { decodeHeaderArea } from '../../src/on-disk/header-area.ts'
import { viewOf } from '../../src/on-disk/integers.ts'
import { l1TableOffset } from '../../src/on-disk/l1.ts'
import { compressedLength, compressedOffset } from '../../src/on-disk/l2-compressed.ts'
import { refcountBlockOffset } from '../../src/on-disk/refcount.ts'
import { decodeSnapshotEntries } from '../../src/on-disk/snapshot-table.ts'

/** A part of an image that is worth damaging. */
export interface Region {
  readonly name: string
  readonly offset: number
  readonly bytes: number
}

/** Where the metadata of a valid image is: only the entries that are used, and a few behind them. */
export function regionsOf(image: Uint8Array): Region[] {
  const { header, extensions, geometry } = decodeHeaderArea(image.subarray(0, 2 ** 21))
  const { clusterSize } = geometry
  const view = viewOf(image)
  const regions: Region[] = []
  const add = (name: string, offset: number, bytes: number): void => {
    if (offset < image.length) regions.push({ name, offset, bytes: Math.max(1, Math.min(bytes, image.length - offset)) })
  }
  const compressed = (table: number): void => {
    for (let at = table; at < Math.min(table + clusterSize, image.length); at += geometry.l2EntrySize) {
      const [hi, lo] = [view.getUint32(at), view.getUint32(at + 4)]
      if ((hi & 0x4000_0000) !== 0) add('compressed data', compressedOffset(geometry, hi, lo), Math.min(64, compressedLength(geometry, hi, lo)))
    }
  }
  const tables = (name: string, l1Offset: number, l1Entries: number): void => {
    add(`${name} L1 table`, l1Offset, l1Entries * 8)
    for (let i = 0; i < l1Entries; i++) {
      const table = l1TableOffset(view.getUint32(l1Offset + i * 8), view.getUint32(l1Offset + i * 8 + 4))
      if (table === 0) continue
      add(`${name} L2 table`, table, Math.min(clusterSize, 20 * geometry.l2EntrySize))
      compressed(table)
    }
  }
  // Twice: what everything else hangs on.
  add('header', 0, header.headerLength)
  add('header', 0, header.headerLength)
  add('header extensions', header.headerLength, 400)
  tables('active', header.l1Offset, header.l1Entries)
  add('refcount table', header.refcountTableOffset, 24)
  const refcounts = new DataView(image.buffer, image.byteOffset + header.refcountTableOffset, clusterSize)
  for (let i = 0; i < clusterSize / 8; i++) {
    const block = refcountBlockOffset(refcounts, i)
    if (block !== 0) add('refcount block', block, Math.min(clusterSize, 48))
  }
  const { encryption } = extensions
  if (encryption !== null) {
    // Not the numbers of iterations, at 164 and in each slot: they may ask for half a minute.
    add('LUKS header', encryption.offset, 164)
    add('LUKS header', encryption.offset + 168, 40)
    for (let slot = 0; slot < 8; slot++) {
      add('LUKS key slot', encryption.offset + 208 + 48 * slot, 4)
      add('LUKS key slot', encryption.offset + 216 + 48 * slot, 40)
    }
  }
  if (header.snapshotCount > 0) {
    const { entries, consumed } = decodeSnapshotEntries(image.subarray(header.snapshotTableOffset), header.snapshotCount)
    add('snapshot table', header.snapshotTableOffset, consumed)
    for (const entry of entries) tables('snapshot', entry.l1Offset, entry.l1Entries)
  }
  const { bitmaps } = extensions
  if (bitmaps !== null) {
    const directory = image.subarray(bitmaps.directoryOffset, bitmaps.directoryOffset + bitmaps.directorySize)
    add('bitmap directory', bitmaps.directoryOffset, bitmaps.directorySize)
    for (const entry of decodeBitmapDirectory(directory, bitmaps.count, geometry)) add('bitmap table', entry.tableOffset, entry.tableEntries * 8)
  }
  return regions
}
