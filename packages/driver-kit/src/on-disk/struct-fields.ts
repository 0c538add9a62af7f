import { BlockError } from '@blockloom/block-driver'
import { readFixedString, writeFixedString } from './fixed-string.ts'
import { readGuid, readUuid, writeGuid, writeUuid } from './guid.ts'
import * as integer from './integers.ts'

/** One field of a {@link struct}: a length, and both ways. @public */
export interface StructField<T> {
  readonly bytes: number
  /** `name` is for messages. */
  read(from: Uint8Array, at: number, name: string): T
  write(into: Uint8Array, at: number, value: T, name: string): void
}

type Read = (bytes: Uint8Array, at: number, field: string) => number
type Write = (bytes: Uint8Array, at: number, value: number) => void

function unsigned(bytes: number, read: Read, write: Write): StructField<number> {
  const max = bytes === 8 ? Number.MAX_SAFE_INTEGER : 256 ** bytes - 1
  return Object.freeze({
    bytes,
    read,
    write(into: Uint8Array, at: number, value: number, name: string) {
      if (!Number.isSafeInteger(value) || value < 0 || value > max) {
        throw new BlockError('invalid', `${name} must be an integer between 0 and ${max}, not ${value}`, { detail: { field: name } })
      }
      write(into, at, value)
    },
  })
}

/** One byte. @public */
export const u8: StructField<number> = /* @__PURE__ */ unsigned(1, (bytes, at) => bytes[at]!, (bytes, at, value) => void (bytes[at] = value))
/** 16 bits, big endian. @public */
export const u16be: StructField<number> = /* @__PURE__ */ unsigned(2, integer.readU16BE, integer.writeU16BE)
/** 16 bits, little endian. @public */
export const u16le: StructField<number> = /* @__PURE__ */ unsigned(2, integer.readU16LE, integer.writeU16LE)
/** 32 bits, big endian. @public */
export const u32be: StructField<number> = /* @__PURE__ */ unsigned(4, integer.readU32BE, integer.writeU32BE)
/** 32 bits, little endian. @public */
export const u32le: StructField<number> = /* @__PURE__ */ unsigned(4, integer.readU32LE, integer.writeU32LE)
/** 64 bits, big endian; values up to 2^53 - 1. @public */
export const u64be: StructField<number> = /* @__PURE__ */ unsigned(8, integer.readU64BE, integer.writeU64BE)
/** 64 bits, little endian; values up to 2^53 - 1. @public */
export const u64le: StructField<number> = /* @__PURE__ */ unsigned(8, integer.readU64LE, integer.writeU64LE)

/** A UUID in the order of its text. @public */
export const uuid: StructField<string> = Object.freeze({ bytes: 16, read: readUuid, write: writeUuid })
/** A GUID whose first three groups are little endian. @public */
export const guid: StructField<string> = Object.freeze({ bytes: 16, read: readGuid, write: writeGuid })

/** UTF-8 text of at most `bytes` bytes, padded with NULs. @public */
export function fixedString(bytes: number): StructField<string> {
  return {
    bytes,
    read: (from, at, name) => readFixedString(from.subarray(at, at + bytes), name),
    write: (into, at, value, name) => writeFixedString(into.subarray(at, at + bytes), value, name),
  }
}

/** Bytes as they are, copied: reserved fields that must survive, checksums, nested structures. @public */
export function rawBytes(bytes: number): StructField<Uint8Array> {
  return {
    bytes,
    read: (from, at) => from.slice(at, at + bytes),
    write(into, at, value, name) {
      if (value.length !== bytes) throw new BlockError('invalid', `${name} must have ${bytes} bytes, not ${value.length}`, { detail: { field: name } })
      into.set(value, at)
    },
  }
}
