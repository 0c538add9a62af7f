import { BlockError } from '@blockloom/block-driver'

const TWO_32 = 0x1_0000_0000

/** A 64-bit set of flags as two unsigned 32-bit halves. @internal */
export interface FeatureBits {
  readonly hi: number
  readonly lo: number
}

/** No flag set. @internal */
export const NO_BITS: FeatureBits = Object.freeze({ hi: 0, lo: 0 })

/** A big-endian view of exactly the bytes of `bytes`. @internal */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/**
 * Reads a 64-bit field as a number that may be inexact.
 *
 * Exact up to 2^53; above, the result is rounded but never below 2^53. For fields that a later check limits,
 * so that the check's own message is seen.
 *
 * @internal
 */
export function readU64Rounded(view: DataView, at: number): number {
  return view.getUint32(at) * TWO_32 + view.getUint32(at + 4)
}

/**
 * Reads a 64-bit field that must be a safe integer.
 *
 * @throws BlockError `unsupported` (EFBIG) that names `field`, if the value is above 2^53 - 1.
 * @internal
 */
export function readU64(view: DataView, at: number, field: string): number {
  const hi = view.getUint32(at)
  if (hi > 0x1f_ffff) throw tooLarge(field)
  return hi * TWO_32 + view.getUint32(at + 4)
}

/**
 * Writes a safe integer as a 64-bit field.
 *
 * @throws BlockError `invalid` that names `field`, if the value is negative, fractional or above 2^53 - 1.
 * @internal
 */
export function writeU64(view: DataView, at: number, value: number, field: string): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new BlockError('invalid', `${field}: ${value} is not an offset or length`, { detail: { field } })
  }
  view.setUint32(at, Math.floor(value / TWO_32))
  view.setUint32(at + 4, value % TWO_32)
}

/**
 * Writes an unsigned 32-bit field.
 *
 * @throws BlockError `invalid` that names `field`, if the value does not fit.
 * @internal
 */
export function writeU32(view: DataView, at: number, value: number, field: string): void {
  if (!Number.isInteger(value) || value < 0 || value >= TWO_32) {
    throw new BlockError('invalid', `${field}: ${value} does not fit into 32 bits`, { detail: { field } })
  }
  view.setUint32(at, value)
}

/** The upper half of a non-negative number below 2^64, for table entries. @internal */
export function highHalf(value: number): number {
  return Math.floor(value / TWO_32)
}

/** The lower half of a non-negative number below 2^64, for table entries. @internal */
export function lowHalf(value: number): number {
  return value % TWO_32
}

/** Puts two halves together; exact if the value has at most 53 significant bits. @internal */
export function joinHalves(hi: number, lo: number): number {
  return hi * TWO_32 + lo
}

/** Reads a set of flags. @internal */
export function readBits(view: DataView, at: number): FeatureBits {
  return { hi: view.getUint32(at), lo: view.getUint32(at + 4) }
}

/** Writes a set of flags. @internal */
export function writeBits(view: DataView, at: number, bits: FeatureBits): void {
  view.setUint32(at, bits.hi)
  view.setUint32(at + 4, bits.lo)
}

/** True if bit `bit` (0 to 63) is set. @internal */
export function hasBit(bits: FeatureBits, bit: number): boolean {
  return (((bit < 32 ? bits.lo : bits.hi) >>> bit % 32) & 1) === 1
}

/** `bits` without bit `bit` (0 to 63). @internal */
export function withoutBit(bits: FeatureBits, bit: number): FeatureBits {
  const keep = ~(1 << bit % 32)
  return bit < 32 ? { hi: bits.hi, lo: (bits.lo & keep) >>> 0 } : { hi: (bits.hi & keep) >>> 0, lo: bits.lo }
}

/** True if no flag is set. @internal */
export function isEmpty(bits: FeatureBits): boolean {
  return bits.hi === 0 && bits.lo === 0
}

/** The flags as a hexadecimal number without leading zeroes, as C's `%x` prints them. @internal */
export function hexOf(bits: FeatureBits): string {
  return bits.hi === 0 ? bits.lo.toString(16) : bits.hi.toString(16) + bits.lo.toString(16).padStart(8, '0')
}

function tooLarge(field: string): BlockError {
  return new BlockError('unsupported', `${field} is larger than 2^53 - 1, which is not supported`, {
    errno: 'EFBIG',
    detail: { field },
  })
}
