/**
 * What driver authors share: readers and writers of what lies on disk, a write-back cache for metadata tables, the data
 * path of formats that only map ranges, and documentation from option schemas. Compression is in
 * `@blockloom/driver-kit/codecs`, the search for zeroes in `@blockloom/driver-kit/zero-detect`.
 *
 * @example The whole data path of a format with a header and one table
 * ```ts
 * import { checkedTable, mappedFormat, readTable, readU32LE, struct, u32le, u64le } from '@blockloom/driver-kit'
 *
 * const header = struct('header', { magic: u32le, blocks: u32le, size: u64le })
 *
 * const head = new Uint8Array(header.bytes)
 * await file.read(0, head)
 * const { blocks, size } = header.decode(head)
 * const claim = checkedTable('block table', { offset: 512, entries: blocks, entryBytes: 4, maxBytes: 1 << 24, fileSize: await file.size() })
 * const table = await readTable(file, claim)
 *
 * const BLOCK = 1 << 20
 * const hooks = mappedFormat({
 *   file,
 *   size: () => size,
 *   map: (offset) => {
 *     const inside = offset % BLOCK
 *     const place = readU32LE(table, Math.floor(offset / BLOCK) * 4)
 *     return place === 0 ? { kind: 'zero', bytes: BLOCK - inside } : { kind: 'data', bytes: BLOCK - inside, host: place * BLOCK + inside }
 *   },
 * })
 * ```
 *
 * @packageDocumentation
 */
export { TableCache } from './table-cache/table-cache.ts'
export type { TableCacheInit, TableCacheStats } from './table-cache/table-cache.ts'
export { TableEntry } from './table-cache/table-entry.ts'
export { DirtyBatch } from './table-cache/dirty-batch.ts'

export { alignDown, alignUp, isPowerOfTwo } from './on-disk/alignment.ts'
export { checkedTable } from './on-disk/checked-table.ts'
export type { CheckedTable, TableClaim } from './on-disk/checked-table.ts'
export { crc32, crc32c } from './on-disk/crc32.ts'
export { readFixedString, writeFixedString } from './on-disk/fixed-string.ts'
export { readGuid, readUuid, writeGuid, writeUuid } from './on-disk/guid.ts'
export { readU16BE, readU16LE, readU32BE, readU32LE, readU64BE, readU64LE } from './on-disk/integers.ts'
export { writeU16BE, writeU16LE, writeU32BE, writeU32LE, writeU64BE, writeU64LE } from './on-disk/integers.ts'
export { readTable, visitTable } from './on-disk/read-table.ts'
export type { ReadTableOptions } from './on-disk/read-table.ts'
export { struct } from './on-disk/struct.ts'
export type { Struct, StructLayout, StructValues } from './on-disk/struct.ts'
export { fixedString, guid, rawBytes, u16be, u16le, u32be, u32le, u64be, u64le, u8, uuid } from './on-disk/struct-fields.ts'
export type { StructField } from './on-disk/struct-fields.ts'

export { mappedFormat } from './mapped-format/mapped-format.ts'
export type { MappedHooks } from './mapped-format/mapped-format.ts'
export type { Allocation, MappedFormatInit, MappedWriting, Mapping } from './mapped-format/mapping.ts'

export { optionsHelp } from './option-docs/options-help.ts'
export { optionsTable } from './option-docs/options-table.ts'
export { qmpShape } from './option-docs/qmp-shape.ts'
export type { QmpAlternate, QmpEnum, QmpMember, QmpObject, QmpType } from './option-docs/qmp-shape.ts'
