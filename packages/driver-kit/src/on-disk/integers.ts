import { BlockError } from '@blockloom/block-driver'

const TWO_32 = 0x1_0000_0000

/** An unsigned 16-bit big-endian integer. @public */
export function readU16BE(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 0x100 + bytes[at + 1]!
}

/** An unsigned 16-bit little-endian integer. @public */
export function readU16LE(bytes: Uint8Array, at: number): number {
  return bytes[at + 1]! * 0x100 + bytes[at]!
}

/** An unsigned 32-bit big-endian integer. @public */
export function readU32BE(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 0x1000000 + bytes[at + 1]! * 0x10000 + bytes[at + 2]! * 0x100 + bytes[at + 3]!
}

/** An unsigned 32-bit little-endian integer. @public */
export function readU32LE(bytes: Uint8Array, at: number): number {
  return bytes[at + 3]! * 0x1000000 + bytes[at + 2]! * 0x10000 + bytes[at + 1]! * 0x100 + bytes[at]!
}

/**
 * An unsigned 64-bit big-endian integer that fits a number exactly.
 *
 * @param field - what it is, for the message
 * @throws BlockError `range` (EFBIG) naming the field, for values of 2^53 and more
 * @public
 */
export function readU64BE(bytes: Uint8Array, at: number, field: string): number {
  return join(readU32BE(bytes, at), readU32BE(bytes, at + 4), field)
}

/** The same as {@link readU64BE}, little endian. @public */
export function readU64LE(bytes: Uint8Array, at: number, field: string): number {
  return join(readU32LE(bytes, at + 4), readU32LE(bytes, at), field)
}

function join(high: number, low: number, field: string): number {
  if (high < 0x200000) return high * TWO_32 + low
  const hex = high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0')
  throw new BlockError('range', `${field} is too large: 0x${hex}`, { errno: 'EFBIG', detail: { field, value: `0x${hex}` } })
}

/** Stores the low 16 bits of a non-negative integer, big endian. @public */
export function writeU16BE(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8
  bytes[at + 1] = value
}

/** Stores the low 16 bits of a non-negative integer, little endian. @public */
export function writeU16LE(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
}

/** Stores the low 32 bits of a non-negative safe integer, big endian. @public */
export function writeU32BE(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

/** Stores the low 32 bits of a non-negative safe integer, little endian. @public */
export function writeU32LE(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

/** Stores a non-negative safe integer in 64 bits, big endian. @public */
export function writeU64BE(bytes: Uint8Array, at: number, value: number): void {
  writeU32BE(bytes, at, Math.floor(value / TWO_32))
  writeU32BE(bytes, at + 4, value % TWO_32)
}

/** Stores a non-negative safe integer in 64 bits, little endian. @public */
export function writeU64LE(bytes: Uint8Array, at: number, value: number): void {
  writeU32LE(bytes, at, value % TWO_32)
  writeU32LE(bytes, at + 4, Math.floor(value / TWO_32))
}
