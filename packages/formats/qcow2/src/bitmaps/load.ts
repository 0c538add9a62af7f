import { BlockError } from '@blockloom/block-driver'
import { isZero } from '@blockloom/driver-kit/zero-detect'
import type { Qcow2Image } from '../image.ts'
import { bitmapBytesFor, lastByteMask, validateBitmapSize, type BitmapEntry } from '../on-disk/bitmap-directory.ts'
import { bitmapDataOffset, classifyBitmapCluster } from '../on-disk/bitmap-table.ts'
import { viewOf } from '../on-disk/integers.ts'
import { malformed } from '../on-disk/malformed.ts'
import { printableName } from '../on-disk/names.ts'
import { roundUpToCluster } from '../units.ts'
import { inconsistentBitmap, type ListedBitmap } from './bitmap-list.ts'

/** Bytes of a bitmap table that are read at once. */
const TABLE_PIECE = 64 * 1024
/** Bytes of bits that are read at once, if clusters are not larger. */
const DATA_PIECE = 1024 * 1024

/** Neighbouring clusters of bits, inside one piece. */
interface Run {
  /** Of the first byte, in the bitmap. */
  at: number
  bytes: number
  /** Host offset, or null where all bits are set. */
  readonly host: number | null
}

/**
 * Reads the bits of a bitmap: chunks of at most 1 MiB or a cluster, ascending, without those that are all zero. Bits past the
 * end of the disk are zero.
 *
 * @throws BlockError `corrupt` if the bitmap is inconsistent, or its table is damaged or does not fit the disk
 * @internal
 */
export async function loadBitmap(image: Qcow2Image, { entry, inconsistent }: ListedBitmap, chunk: (offset: number, bits: Uint8Array) => void): Promise<void> {
  if (inconsistent) throw inconsistentBitmap(entry.name)
  const { geometry, header, file } = image
  validateBitmapSize(entry, geometry, header.size)
  const total = bitmapBytesFor(header.size, entry.granularityBits)
  for await (const { at, bytes, host } of runsOf(image, entry)) {
    const bits = new Uint8Array(Math.min(bytes, total - at))
    if (host === null) bits.fill(0xff)
    else await file.read(host, bits)
    if (at + bits.length === total) bits[bits.length - 1]! &= lastByteMask(header.size, entry.granularityBits)
    if (!isZero(bits)) chunk(at, bits)
  }
}

/** Where the bits are, as far as they are not zero. */
async function* runsOf(image: Qcow2Image, entry: BitmapEntry): AsyncGenerator<Run> {
  const { clusterSize } = image
  const most = Math.max(clusterSize, DATA_PIECE)
  let run: Run | undefined
  for await (const { index, host } of tableEntries(image, entry)) {
    const at = index * clusterSize
    const continues = run !== undefined && run.at + run.bytes === at && run.bytes < most && host === (run.host === null ? null : run.host + run.bytes)
    if (continues) run!.bytes += clusterSize
    else {
      if (run !== undefined) yield run
      run = { at, bytes: clusterSize, host }
    }
  }
  if (run !== undefined) yield run
}

/** A cluster of bits that are not all zero: its host offset, or null if all bits are set. */
interface BitmapCluster {
  readonly index: number
  readonly host: number | null
}

/**
 * The entries of a bitmap's table, without those of clusters that are all zero.
 *
 * @throws BlockError `corrupt` for an entry that cannot be, or a place behind the end of the file
 * @internal
 */
export async function* tableEntries(image: Pick<Qcow2Image, 'file' | 'geometry'>, entry: BitmapEntry): AsyncGenerator<BitmapCluster> {
  const { file, geometry } = image
  const fileEnd = roundUpToCluster(geometry, await file.size())
  const bytes = entry.tableEntries * 8
  if (entry.tableOffset + bytes > fileEnd) throw damagedTable(entry)
  for (let at = 0; at < bytes; at += TABLE_PIECE) {
    const piece = new Uint8Array(Math.min(TABLE_PIECE, bytes - at))
    await file.read(entry.tableOffset + at, piece)
    const view = viewOf(piece)
    for (let i = 0; i < piece.length; i += 8) {
      const hi = view.getUint32(i)
      const lo = view.getUint32(i + 4)
      if (hi === 0 && lo === 0) continue
      const kind = classifyBitmapCluster(geometry, hi, lo)
      const host = bitmapDataOffset(hi, lo)
      if (kind === 'invalid' || host >= fileEnd) throw damagedTable(entry)
      yield { index: (at + i) / 8, host: kind === 'data' ? host : null }
    }
  }
}

function damagedTable({ name }: BitmapEntry): BlockError {
  return malformed('bitmap_table', `Could not read bitmap_table table from image for bitmap '${printableName(name)}': Invalid argument`)
}
