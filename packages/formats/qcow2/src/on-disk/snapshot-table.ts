import { BlockError } from '@blockloom/block-driver'
import { hostOffset, type Geometry, type HostOffset } from '../units.ts'
import { readU64Rounded, viewOf, writeU32, writeU64 } from './integers.ts'
import * as limits from './limits.ts'
import { malformed } from './malformed.ts'
import { decodeName, encodeName } from './names.ts'
import { validateTable } from './table-bounds.ts'

/** Fixed bytes of an entry. Spec, "Snapshots". */
const FIXED = 40
/** Extra data that is known: VM state size, disk size, instruction count. */
const KNOWN_EXTRA = 24
/** Extra data that version 3 images must have: up to byte 55 of the entry. */
const V3_EXTRA = 16

/** No entry is longer: fixed part, extra data, ID and name at their largest, padding. @internal */
export const MAX_SNAPSHOT_ENTRY_BYTES = FIXED + limits.MAX_SNAPSHOT_EXTRA_DATA + 2 * 65535 + 8

/** An entry of the snapshot table. Immutable. @internal */
export interface SnapshotEntry {
  /** Unchecked: {@link validateSnapshot} before use. Rounded above 2^53. */
  readonly l1Offset: HostOffset
  /** Unchecked: {@link validateSnapshot} before use. */
  readonly l1Entries: number
  /** At most 65535 bytes of UTF-8, unique in the table. */
  readonly id: string
  /** At most 65535 bytes of UTF-8. */
  readonly name: string
  /** Seconds since the epoch, unsigned 32 bits. */
  readonly dateSeconds: number
  /** Unsigned 32 bits; not checked to be below 10^9. */
  readonly dateNanoseconds: number
  /** How long the guest had run, in nanoseconds. */
  readonly vmClock: bigint
  /** Bytes of VM state behind the guest disk; 0 if there is none. Unchecked like `l1Offset`. */
  readonly vmStateSize: number
  /** Virtual disk size in bytes; null if the entry does not say, then it is that of the image. Unchecked. */
  readonly diskSize: number | null
  /** Executed instructions; null if the entry does not say or icount was disabled. */
  readonly instructionCount: bigint | null
  /** Extra data behind the known fields, kept byte for byte; at most 1000 bytes. */
  readonly unknownExtraData: Uint8Array
  /** `extra_data_size` as it is on disk; version 3 requires at least 16, which a check reports. */
  readonly extraDataSize: number
}

/** What {@link decodeSnapshotEntries} found. @internal */
export interface DecodedSnapshots {
  readonly entries: readonly SnapshotEntry[]
  /** Bytes of the table up to the end of the last entry; padding behind the last one of the table is included. */
  readonly consumed: number
}

/**
 * Decodes as many whole entries as `bytes` holds, at most `count`.
 *
 * The table's length is only known by walking it. So a caller reads a window of at least
 * {@link MAX_SNAPSHOT_ENTRY_BYTES} (zero-filled behind the end of the file), decodes, and goes on at `consumed`,
 * until it has all entries. `offsetInTable` is where the window starts: a table above 64 MiB is refused.
 * No entries although the window was that long cannot happen.
 *
 * @param first - index of the first entry in the window, for messages
 * @throws BlockError `corrupt` (EFBIG): too much extra data, or a table above 64 MiB.
 * @internal
 */
export function decodeSnapshotEntries(
  bytes: Uint8Array,
  count: number,
  first = 0,
  offsetInTable = 0,
): DecodedSnapshots {
  const entries: SnapshotEntry[] = []
  const view = viewOf(bytes)
  let at = 0
  while (entries.length < count && at + FIXED <= bytes.length) {
    const length = entryLength(view, at, first + entries.length)
    if (offsetInTable + at + length > limits.MAX_SNAPSHOT_TABLE_BYTES) {
      throw malformed('snapshots_offset', TOO_BIG, 'EFBIG')
    }
    if (at + length > bytes.length) break
    entries.push(decodeEntry(bytes, view, at))
    at += roundUp8(length)
  }
  return { entries, consumed: at }
}

const TOO_BIG = 'Snapshot table is too big'

const roundUp8 = (length: number): number => Math.ceil(length / 8) * 8

function entryLength(view: DataView, at: number, index: number): number {
  const extra = view.getUint32(at + 36)
  if (extra > limits.MAX_SNAPSHOT_EXTRA_DATA) {
    throw malformed('extra_data_size', `Too much extra metadata in snapshot table entry ${index}`, 'EFBIG')
  }
  return FIXED + extra + view.getUint16(at + 12) + view.getUint16(at + 14)
}

// One view for all, and nothing made for what is empty: a file of 20 KiB can have 65536 entries.
function decodeEntry(bytes: Uint8Array, view: DataView, at: number): SnapshotEntry {
  const extra = view.getUint32(at + 36)
  const idAt = at + FIXED + extra
  const nameAt = idAt + view.getUint16(at + 12)
  const end = nameAt + view.getUint16(at + 14)
  // "Set to -1 if icount was disabled."
  const icount = extra >= KNOWN_EXTRA ? view.getBigUint64(at + 56) : NO_ICOUNT
  return {
    l1Offset: hostOffset(readU64Rounded(view, at)),
    l1Entries: view.getUint32(at + 8),
    id: nameBetween(bytes, idAt, nameAt),
    name: nameBetween(bytes, nameAt, end),
    dateSeconds: view.getUint32(at + 16),
    dateNanoseconds: view.getUint32(at + 20),
    vmClock: view.getBigUint64(at + 24),
    // "If this field is present, the 32-bit value in bytes 32-35 is ignored."
    vmStateSize: extra >= 8 ? readU64Rounded(view, at + 40) : view.getUint32(at + 32),
    diskSize: extra >= V3_EXTRA ? readU64Rounded(view, at + 48) : null,
    instructionCount: icount === NO_ICOUNT ? null : icount,
    unknownExtraData: extra <= KNOWN_EXTRA ? NOTHING : bytes.slice(at + FIXED + KNOWN_EXTRA, idAt),
    extraDataSize: extra,
  }
}

function nameBetween(bytes: Uint8Array, from: number, to: number): string {
  return from === to ? '' : decodeName(bytes.subarray(from, to))
}

const NOTHING = new Uint8Array(0)

const NO_ICOUNT = 0xffff_ffff_ffff_ffffn

/** True if an entry has the extra data that version 3 images must have. @internal */
export function isCompleteSnapshotEntry(entry: SnapshotEntry): boolean {
  return entry.extraDataSize >= V3_EXTRA
}

/**
 * Checks the fields of a snapshot that lead elsewhere, before it is used for anything but listing.
 *
 * Opening an image does not do this, so that one bad entry does not take the guest's disk with it.
 *
 * @throws BlockError `corrupt`: "Snapshot L1 table too large" (EFBIG), "Snapshot L1 table offset invalid";
 *   `unsupported` (EFBIG): a size above 2^53 - 1.
 * @internal
 */
export function validateSnapshot(entry: SnapshotEntry, geometry: Geometry): void {
  validateTable({
    name: 'Snapshot L1 table',
    field: 'l1_table_offset',
    offset: entry.l1Offset,
    entries: entry.l1Entries,
    entrySize: 8,
    maxBytes: limits.MAX_L1_BYTES,
    clusterSize: geometry.clusterSize,
  })
  for (const [field, size] of [['vm_state_size', entry.vmStateSize], ['disk_size', entry.diskSize ?? 0]] as const) {
    if (size > Number.MAX_SAFE_INTEGER) {
      throw new BlockError('unsupported', `Snapshot ${field} is too large`, { errno: 'EFBIG', detail: { field } })
    }
  }
}

/**
 * Encodes a whole snapshot table, each entry padded to a multiple of 8.
 *
 * Every entry gets the three known extra fields, in version 2 images too, then its unknown extra data.
 *
 * @param imageSize - disk size to write for entries that have none, in bytes
 * @throws BlockError `invalid` (EFBIG), if there are more than 65536 entries or 64 MiB, or an ID, a name or the extra
 *   data is too long.
 * @internal
 */
export function encodeSnapshotTable(entries: readonly SnapshotEntry[], imageSize: number): Uint8Array {
  if (entries.length > limits.MAX_SNAPSHOTS) throw tooLarge('Too many snapshots')
  let total = 0
  for (const entry of entries) {
    total += storedLength(entry, namesToStore(entry))
    if (total > limits.MAX_SNAPSHOT_TABLE_BYTES) throw tooLarge(TOO_BIG)
  }
  const table = new Uint8Array(total)
  const view = viewOf(table)
  let at = 0
  for (const entry of entries) {
    const names = namesToStore(entry)
    encodeEntry(table, view, at, entry, names, imageSize)
    at += storedLength(entry, names)
  }
  return table
}

interface Names {
  readonly id: Uint8Array
  readonly name: Uint8Array
}

/** The names of an entry as bytes, once it is sure that everything in it has room. */
function namesToStore(entry: SnapshotEntry): Names {
  const id = encodeName(entry.id)
  const name = encodeName(entry.name)
  if (id.length > 65535) throw tooLarge('Snapshot ID too long')
  if (name.length > 65535) throw tooLarge('Snapshot name too long')
  if (KNOWN_EXTRA + entry.unknownExtraData.length > limits.MAX_SNAPSHOT_EXTRA_DATA) throw tooLarge('Too much extra metadata in snapshot')
  return { id, name }
}

function storedLength(entry: SnapshotEntry, { id, name }: Names): number {
  return roundUp8(FIXED + KNOWN_EXTRA + entry.unknownExtraData.length + id.length + name.length)
}

function encodeEntry(table: Uint8Array, view: DataView, at: number, entry: SnapshotEntry, { id, name }: Names, imageSize: number): void {
  const extra = KNOWN_EXTRA + entry.unknownExtraData.length
  writeU64(view, at, entry.l1Offset, 'snapshot L1 table offset')
  writeU32(view, at + 8, entry.l1Entries, 'snapshot L1 size')
  view.setUint16(at + 12, id.length)
  view.setUint16(at + 14, name.length)
  writeU32(view, at + 16, entry.dateSeconds, 'snapshot date')
  writeU32(view, at + 20, entry.dateNanoseconds, 'snapshot date')
  view.setBigUint64(at + 24, entry.vmClock)
  // Readers that know the extra field ignore this one; to others a size that does not fit is no state.
  view.setUint32(at + 32, entry.vmStateSize > 0xffff_ffff ? 0 : entry.vmStateSize)
  view.setUint32(at + 36, extra)
  writeU64(view, at + 40, entry.vmStateSize, 'snapshot VM state size')
  writeU64(view, at + 48, entry.diskSize ?? imageSize, 'snapshot disk size')
  view.setBigUint64(at + 56, entry.instructionCount ?? NO_ICOUNT)
  table.set(entry.unknownExtraData, at + FIXED + KNOWN_EXTRA)
  table.set(id, at + FIXED + extra)
  table.set(name, at + FIXED + extra + id.length)
}

function tooLarge(message: string): BlockError {
  return new BlockError('invalid', message, { errno: 'EFBIG' })
}
