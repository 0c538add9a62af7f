import { BlockError } from '@blockloom/block-driver'
import { hostOffset, type Geometry, type HostOffset } from '../units.ts'
import { readU64Rounded, viewOf, writeU32, writeU64 } from './integers.ts'
import * as limits from './limits.ts'
import { malformed } from './malformed.ts'
import { decodeName, encodeName, printableName } from './names.ts'

/** Fixed bytes of an entry. Spec, "Bitmap directory". */
const FIXED = 24
/** The only type: dirty tracking bitmap. */
const DIRTY_TRACKING = 1
const IN_USE = 1
const AUTO = 2

/** An entry of the bitmap directory: a dirty tracking bitmap. Immutable. @internal */
export interface BitmapEntry {
  /** Cluster-aligned, not 0. */
  readonly tableOffset: HostOffset
  /**
   * Entries of the bitmap table, 1 to `MAX_BITMAP_TABLE_ENTRIES`, at most 512 MiB of bitmap data. Equals
   * {@link bitmapTableEntriesFor} unless `inUse`: then it may be outdated.
   */
  readonly tableEntries: number
  /** The bitmap was not saved correctly and is inconsistent: it can only be removed. */
  readonly inUse: boolean
  /** The bitmap is enabled: it tracks writes from the first one on. */
  readonly auto: boolean
  /** 9 to 31. */
  readonly granularityBits: number
  /** 1 to 1023 bytes of UTF-8. */
  readonly name: string
}

/**
 * Decodes and checks a bitmap directory: `bytes` is all of it (`directorySize`), `count` the number of bitmaps that
 * the extension announces.
 *
 * Other types than dirty tracking and extra data are refused, as in QEMU, and so is a missing name, which QEMU
 * lets pass. Names are checked to be unique.
 *
 * @throws BlockError `corrupt` or `unsupported`, with QEMU's wording.
 * @internal
 */
export function decodeBitmapDirectory(bytes: Uint8Array, count: number, geometry: Geometry): BitmapEntry[] {
  const view = viewOf(bytes)
  const entries: BitmapEntry[] = []
  const names = new Set<string>()
  for (let at = 0; at < bytes.length; ) {
    if (at + FIXED > bytes.length) throw broken()
    if (entries.length === count) throw wrongCount('More')
    const next = at + Math.ceil((FIXED + view.getUint16(at + 18) + view.getUint32(at + 20)) / 8) * 8
    if (next > bytes.length) throw broken()
    const entry = decodeEntry(bytes.subarray(at, next), geometry)
    if (names.has(entry.name)) throw malformed('name', `Bitmap already exists: ${printableName(entry.name)}`)
    names.add(entry.name)
    entries.push(entry)
    at = next
  }
  if (entries.length < count) throw wrongCount('Less')
  return entries
}

function wrongCount(which: 'More' | 'Less'): BlockError {
  return malformed('bitmap_directory', `${which} bitmaps found than specified in header extension`)
}

function broken(): BlockError {
  return malformed('bitmap_directory', 'Broken bitmap directory')
}

function constraints(field: string, name: string): BlockError {
  return malformed(field, `Bitmap '${printableName(name)}' doesn't satisfy the constraints`)
}

function decodeEntry(bytes: Uint8Array, geometry: Geometry): BitmapEntry {
  const view = viewOf(bytes)
  if (view.getUint32(20) !== 0) {
    throw new BlockError('unsupported', 'Bitmap extra data is not supported', { detail: { field: 'extra_data_size' } })
  }
  const nameSize = view.getUint16(18)
  const name = decodeName(bytes.subarray(FIXED, FIXED + nameSize))
  const flags = view.getUint32(12)
  const entry: BitmapEntry = {
    tableOffset: hostOffset(readU64Rounded(view, 0)),
    tableEntries: view.getUint32(8),
    inUse: (flags & IN_USE) !== 0,
    auto: (flags & AUTO) !== 0,
    granularityBits: view.getUint8(17),
    name,
  }
  const field = firstBadField(entry, nameSize, geometry)
  if (field !== undefined) throw constraints(field, name)
  if (view.getUint8(16) !== DIRTY_TRACKING) throw constraints('type', name)
  // Flag extra_data_compatible has no meaning without extra data, and QEMU refuses it.
  if (flags >= 4) throw constraints('flags', name)
  return entry
}

function firstBadField(entry: BitmapEntry, nameBytes: number, geometry: Geometry): string | undefined {
  const { tableOffset, tableEntries, granularityBits } = entry
  if (tableOffset === 0 || tableOffset % geometry.clusterSize !== 0 || tableOffset > limits.MAX_HOST_OFFSET) {
    return 'bitmap_table_offset'
  }
  const mostEntries = Math.min(limits.MAX_BITMAP_TABLE_ENTRIES, limits.MAX_BITMAP_BYTES / geometry.clusterSize)
  if (tableEntries === 0 || tableEntries > mostEntries) return 'bitmap_table_size'
  if (
    granularityBits < limits.MIN_BITMAP_GRANULARITY_BITS ||
    granularityBits > limits.MAX_BITMAP_GRANULARITY_BITS
  ) {
    return 'granularity_bits'
  }
  if (nameBytes === 0 || nameBytes > limits.MAX_BITMAP_NAME_BYTES) return 'name_size'
  return undefined
}

/** Bytes of a bitmap of a disk of `size` bytes: one bit per granule, rounded up. @internal */
export function bitmapBytesFor(size: number, granularityBits: number): number {
  return Math.ceil(Math.ceil(size / 2 ** granularityBits) / 8)
}

/** Which bits of the last byte of a bitmap belong to the disk, a mask. @internal */
export function lastByteMask(size: number, granularityBits: number): number {
  const used = Math.ceil(size / 2 ** granularityBits) % 8
  return used === 0 ? 0xff : 2 ** used - 1
}

/** Entries that the table of a bitmap needs: one per cluster of bitmap data. @internal */
export function bitmapTableEntriesFor(geometry: Geometry, size: number, granularityBits: number): number {
  return Math.ceil(bitmapBytesFor(size, granularityBits) / geometry.clusterSize)
}

/**
 * Checks that a bitmap's table fits the disk. Not for bitmaps in use, whose size may be outdated.
 *
 * @throws BlockError `corrupt`, with QEMU's wording.
 * @internal
 */
export function validateBitmapSize(entry: BitmapEntry, geometry: Geometry, size: number): void {
  if (entry.tableEntries === bitmapTableEntriesFor(geometry, size, entry.granularityBits)) return
  const message = `Could not read bitmap '${printableName(entry.name)}' from image: Invalid argument`
  throw malformed('bitmap_table_size', message)
}

/** Bytes of an entry in the directory. @internal */
export function bitmapEntryBytes(name: string): number {
  return Math.ceil((FIXED + encodeName(name).length) / 8) * 8
}

/** Sets the flag "in use" of every entry of an encoded directory. @internal */
export function setInUse(directory: Uint8Array): void {
  const view = viewOf(directory)
  for (let at = 0; at + FIXED <= directory.length; ) {
    view.setUint8(at + 15, view.getUint8(at + 15) | IN_USE)
    at += Math.ceil((FIXED + view.getUint16(at + 18) + view.getUint32(at + 20)) / 8) * 8
  }
}

/**
 * Encodes a bitmap directory.
 *
 * @throws BlockError `invalid`: an entry's field is out of range (EINVAL) or the whole is (EFBIG).
 * @internal
 */
export function encodeBitmapDirectory(entries: readonly BitmapEntry[], geometry: Geometry): Uint8Array {
  const names = entries.map((entry) => encodeName(entry.name))
  const lengths = names.map((name) => Math.ceil((FIXED + name.length) / 8) * 8)
  const total = lengths.reduce((sum, length) => sum + length, 0)
  if (entries.length > limits.MAX_BITMAPS || total > limits.MAX_BITMAP_DIRECTORY_BYTES) {
    throw new BlockError('invalid', 'Bitmap directory is too large', { errno: 'EFBIG' })
  }
  const bytes = new Uint8Array(total)
  let at = 0
  entries.forEach((entry, index) => {
    const name = names[index]!
    const field = firstBadField(entry, name.length, geometry)
    if (field !== undefined) {
      const message = `Bitmap '${printableName(entry.name)}' doesn't satisfy the constraints`
      throw new BlockError('invalid', message, { detail: { field } })
    }
    const view = viewOf(bytes.subarray(at))
    writeU64(view, 0, entry.tableOffset, 'bitmap_table_offset')
    writeU32(view, 8, entry.tableEntries, 'bitmap_table_size')
    view.setUint32(12, (entry.inUse ? IN_USE : 0) + (entry.auto ? AUTO : 0))
    view.setUint8(16, DIRTY_TRACKING)
    view.setUint8(17, entry.granularityBits)
    view.setUint16(18, name.length)
    bytes.set(name, at + FIXED)
    at += lengths[index]!
  })
  return bytes
}
