import { BlockError, type BitmapContent } from '@blockloom/block-driver'
import { isZero } from '@blockloom/driver-kit/zero-detect'
import { allocateRun } from '../allocate-run.ts'
import { bitmapBytesFor, bitmapTableEntriesFor, lastByteMask, type BitmapEntry } from '../on-disk/bitmap-directory.ts'
import { setBitmapTableEntry } from '../on-disk/bitmap-table.ts'
import { viewOf } from '../on-disk/integers.ts'
import { printableName } from '../on-disk/names.ts'
import type { PendingFree } from '../pending-frees.ts'
import { clustersFor, hostOffset, type HostOffset } from '../units.ts'
import type { Qcow2Writer } from '../writer.ts'

/** Bytes of bits that are written together, if clusters are not larger. */
const PIECE = 1024 * 1024
/** Bytes of a word of bits, as the reference has them in memory. */
const WORD = 8

/**
 * Writes the bits of a bitmap and its table to new places. What is all zero or all ones takes no place but in the table.
 *
 * Memory: the table, at most 8 MiB, and a piece of 1 MiB or a cluster.
 *
 * @param taken - gets the clusters that were allocated, also if it fails
 * @internal
 */
export async function writeBitmap(writer: Qcow2Writer, content: BitmapContent, taken: PendingFree[]): Promise<BitmapEntry> {
  const { geometry, clusterSize, header } = writer.image
  const granularityBits = Math.log2(content.granularity)
  const tableEntries = bitmapTableEntriesFor(geometry, header.size, granularityBits)
  if (tableEntries === 0) throw new BlockError('invalid', `A disk without a byte cannot have the bitmap '${printableName(content.name)}'`, { detail: { bitmap: content.name } })
  const table = new Uint8Array(tableEntries * 8)
  const view = viewOf(table)
  let waiting: { readonly index: number; readonly bits: Uint8Array }[] = []
  const most = Math.max(1, PIECE / clusterSize)
  for (let index = 0; index < tableEntries; index++) {
    const bits = bitsOf(content, index, header.size, clusterSize)
    if (bits === 'all-ones') setBitmapTableEntry(view, index, 'all-ones')
    else if (bits !== 'all-zeroes') waiting.push({ index, bits })
    if (waiting.length === most) await writeWaiting()
  }
  await writeWaiting()
  const tableOffset = await writeArea(writer, table, taken)
  return { tableOffset, tableEntries, inUse: false, auto: content.auto, granularityBits, name: content.name }

  async function writeWaiting(): Promise<void> {
    while (waiting.length > 0) {
      const { first, count } = await writer.allocator.allocate(waiting.length)
      taken.push({ first, count, reason: 'other' })
      const bytes = new Uint8Array(count * clusterSize)
      for (const [i, { index, bits }] of waiting.slice(0, count).entries()) {
        bytes.set(bits, i * clusterSize)
        setBitmapTableEntry(view, index, (first + i) * clusterSize)
      }
      await writer.image.file.write(first * clusterSize, bytes)
      waiting = waiting.slice(count)
    }
  }
}

/** Writes `bytes` to neighbouring new clusters; returns where. @internal */
export async function writeArea(writer: Qcow2Writer, bytes: Uint8Array, taken: PendingFree[]): Promise<HostOffset> {
  const { geometry, clusterSize, file } = writer.image
  const { first, count } = await allocateRun(writer, clustersFor(geometry, bytes.length))
  taken.push({ first, count, reason: 'other' })
  // Whole clusters: the file does not end inside one.
  const whole = new Uint8Array(count * clusterSize)
  whole.set(bytes)
  await file.write(first * clusterSize, whole)
  return hostOffset(first * clusterSize)
}

/** One cluster of bits; those past the end of the disk do not count. */
function bitsOf(content: BitmapContent, index: number, size: number, clusterSize: number): Uint8Array | 'all-zeroes' | 'all-ones' {
  const granularityBits = Math.log2(content.granularity)
  const total = bitmapBytesFor(size, granularityBits)
  const offset = index * clusterSize
  const bytes = Math.min(clusterSize, total - offset)
  const given = content.bits(offset, bytes)
  if (given === null) return 'all-zeroes'
  const bits = new Uint8Array(bytes)
  bits.set(given.subarray(0, bytes))
  const last = offset + bytes === total ? lastByteMask(size, granularityBits) : 0xff
  bits[bytes - 1]! &= last
  if (isZero(bits)) return 'all-zeroes'
  // Where the disk ends inside a word of bits, the reference (7.2) takes the rest of it as dirty, too, once the disk grows.
  return bytes % WORD === 0 && bits.every((byte) => byte === 0xff) ? 'all-ones' : bits
}
