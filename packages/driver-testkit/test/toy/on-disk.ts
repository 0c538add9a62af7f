import { BlockError } from '@blockloom/block-driver'

// The toy format. Big endian; 64-bit fields are two 32-bit halves.
//   0  'TOYDISK1'       8  u32 cluster bits    12  u64 disk size      20  u64 table offset   28  u32 table entries
//  32  u64 directory   40  u32 snapshots       44  u32 length of the backing name            48  u32 of its format
//  52  the name, then the format
// A table entry is a host offset, a multiple of the cluster size, plus flags; 0 is absent.

export const SECTOR = 512
export const ZERO = 1
export const ENCODED = 2
export const MAX_ENTRIES = 65536
export const MAX_SNAPSHOTS = 16
const MAGIC = new TextEncoder().encode('TOYDISK1')
const NAMES = 52

export interface Header {
  clusterBits: number
  size: number
  tableOffset: number
  tableEntries: number
  directoryOffset: number
  snapshots: number
  backing: { filename: string; format?: string } | null
}

export interface SnapshotRecord {
  readonly id: string
  readonly name: string
  readonly size: number
  readonly tableOffset: number
}

export function encodeHeader(header: Header): Uint8Array {
  const out = new Uint8Array(SECTOR)
  const view = new DataView(out.buffer)
  out.set(MAGIC)
  view.setUint32(8, header.clusterBits)
  put64(view, 12, header.size)
  put64(view, 20, header.tableOffset)
  view.setUint32(28, header.tableEntries)
  put64(view, 32, header.directoryOffset)
  view.setUint32(40, header.snapshots)
  const name = new TextEncoder().encode(header.backing?.filename ?? '')
  const format = new TextEncoder().encode(header.backing?.format ?? '')
  if (NAMES + name.length + format.length > SECTOR) throw new BlockError('invalid', 'the name of the backing file is too long')
  view.setUint32(44, name.length)
  view.setUint32(48, format.length)
  out.set(name, NAMES)
  out.set(format, NAMES + name.length)
  return out
}

export function decodeHeader(bytes: Uint8Array, fileSize: number): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (!isToy(bytes)) throw new BlockError('invalid', 'Image is not in toy format')
  const clusterBits = view.getUint32(8)
  if (clusterBits < 9 || clusterBits > 21) throw corrupt(`cluster bits ${clusterBits}`)
  const header: Header = {
    clusterBits,
    size: get64(view, 12),
    tableOffset: get64(view, 20),
    tableEntries: view.getUint32(28),
    directoryOffset: get64(view, 32),
    snapshots: view.getUint32(40),
    backing: null,
  }
  if (header.tableEntries > MAX_ENTRIES) throw corrupt(`table entries ${header.tableEntries}`)
  if (header.tableOffset < SECTOR || header.tableOffset + header.tableEntries * 8 > fileSize) throw corrupt(`table offset ${header.tableOffset}`)
  if (header.size > header.tableEntries * 2 ** clusterBits) throw corrupt(`size ${header.size}`)
  if (header.snapshots > MAX_SNAPSHOTS || header.directoryOffset + header.snapshots * SECTOR > fileSize) throw corrupt('snapshot directory')
  const nameLength = view.getUint32(44)
  const formatLength = view.getUint32(48)
  if (nameLength > SECTOR - NAMES || formatLength > SECTOR - NAMES - nameLength) throw corrupt('length of the backing name')
  if (nameLength > 0) {
    const filename = text(bytes.subarray(NAMES, NAMES + nameLength))
    const format = text(bytes.subarray(NAMES + nameLength, NAMES + nameLength + formatLength))
    header.backing = format ? { filename, format } : { filename }
  }
  return header
}

export function isToy(head: Uint8Array): boolean {
  return head.length >= MAGIC.length && MAGIC.every((byte, i) => head[i] === byte)
}

export function encodeTable(entries: readonly number[]): Uint8Array {
  const out = new Uint8Array(entries.length * 8)
  const view = new DataView(out.buffer)
  entries.forEach((entry, i) => put64(view, i * 8, entry))
  return out
}

export function decodeTable(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return Array.from({ length: bytes.length / 8 }, (_, i) => get64(view, i * 8))
}

export function encodeRecord(record: SnapshotRecord): Uint8Array {
  const out = new Uint8Array(SECTOR)
  const view = new DataView(out.buffer)
  const name = new TextEncoder().encode(record.name)
  view.setUint32(0, Number(record.id))
  put64(view, 4, record.size)
  put64(view, 12, record.tableOffset)
  view.setUint32(20, name.length)
  out.set(name.subarray(0, SECTOR - 24), 24)
  return out
}

export function decodeRecord(bytes: Uint8Array): SnapshotRecord {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const length = view.getUint32(20)
  if (length > SECTOR - 24) throw corrupt('length of a snapshot name')
  return { id: String(view.getUint32(0)), size: get64(view, 4), tableOffset: get64(view, 12), name: text(bytes.subarray(24, 24 + length)) }
}

/** Run lengths; undefined if that does not fit into `most` bytes. */
export function pack(data: Uint8Array, most: number): Uint8Array | undefined {
  const out: number[] = [0, 0, 0, 0]
  for (let i = 0; i < data.length; ) {
    let run = 1
    while (run < 255 && i + run < data.length && data[i + run] === data[i]) run++
    out.push(run, data[i]!)
    if (out.length > most) return undefined
    i += run
  }
  const packed = Uint8Array.from(out)
  new DataView(packed.buffer).setUint32(0, out.length - 4)
  return packed
}

export function unpack(packed: Uint8Array, into: Uint8Array): void {
  const length = new DataView(packed.buffer, packed.byteOffset).getUint32(0)
  if (length > packed.length - 4 || length % 2 !== 0) throw corrupt('length of an encoded cluster')
  let at = 0
  for (let i = 4; i < 4 + length; i += 2) {
    into.fill(packed[i + 1]!, at, at + packed[i]!)
    at += packed[i]!
  }
  if (at !== into.length) throw corrupt('an encoded cluster has the wrong size')
}

export function corrupt(field: string): BlockError {
  return new BlockError('corrupt', `The toy image is corrupt: ${field}`, { detail: { field } })
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

function put64(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / 4294967296))
  view.setUint32(at + 4, value % 4294967296)
}

function get64(view: DataView, at: number): number {
  const value = view.getUint32(at) * 4294967296 + view.getUint32(at + 4)
  if (!Number.isSafeInteger(value)) throw corrupt(`field at ${at}`)
  return value
}
