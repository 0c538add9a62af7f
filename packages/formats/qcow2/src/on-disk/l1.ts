import { hostOffset, type HostOffset } from '../units.ts'
import { highHalf, lowHalf } from './integers.ts'

// An L1 entry is a pair (hi, lo) of unsigned 32-bit halves: no BigInt and no object on the data path.
// Source: qcow2 specification, "Cluster mapping".

/** Bytes of an L1 table entry. @internal */
export const L1_ENTRY_SIZE = 8

/** Bits 56-62: reserved. */
const RESERVED_HI = 0x7f00_0000
/** Bits 0-8: reserved. */
const RESERVED_LO = 0x0000_01ff

/** The upper half of entry `index` of an L1 table. @internal */
export function l1Hi(table: DataView, index: number): number {
  return table.getUint32(index * 8)
}

/** The lower half of entry `index` of an L1 table. @internal */
export function l1Lo(table: DataView, index: number): number {
  return table.getUint32(index * 8 + 4)
}

/**
 * Where the L2 table of an L1 entry starts; 0 if there is none.
 *
 * Exact for every input (bits 9 to 55), but neither aligned nor inside the file by itself: check it with
 * `isUsableClusterOffset`.
 *
 * @internal
 */
export function l1TableOffset(hi: number, lo: number): HostOffset {
  return hostOffset((hi & 0x00ff_ffff) * 0x1_0000_0000 + ((lo & 0xffff_fe00) >>> 0))
}

/** The COPIED flag, bit 63: the L2 table's refcount is exactly one. Only accurate in the active L1 table. @internal */
export function l1Copied(hi: number): boolean {
  return hi >= 0x8000_0000
}

/** True if a reserved bit is set; reading ignores these bits, a check reports them. @internal */
export function l1HasReservedBits(hi: number, lo: number): boolean {
  return (hi & RESERVED_HI) !== 0 || (lo & RESERVED_LO) !== 0
}

/**
 * Writes entry `index` of an L1 table.
 *
 * `offset` must be a multiple of 512 below 2^56; 0 with `copied` false clears the entry.
 *
 * @internal
 */
export function setL1Entry(table: DataView, index: number, offset: number, copied: boolean): void {
  table.setUint32(index * 8, copied ? highHalf(offset) + 0x8000_0000 : highHalf(offset))
  table.setUint32(index * 8 + 4, lowHalf(offset))
}
