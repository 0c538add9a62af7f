import { BlockError } from '@blockloom/block-driver'
import { hostOffset, type HostOffset, type RefcountBits } from '../units.ts'
import { highHalf, joinHalves, lowHalf } from './integers.ts'

// Source: qcow2 specification, "Host cluster management".

/**
 * Where the refcount block of entry `index` of a refcount table starts; 0 if there is none.
 *
 * Bits 9 to 63. Exact up to 2^53, rounded above; check it with `isUsableClusterOffset`.
 *
 * @internal
 */
export function refcountBlockOffset(table: DataView, index: number): HostOffset {
  return hostOffset(joinHalves(table.getUint32(index * 8), (table.getUint32(index * 8 + 4) & 0xffff_fe00) >>> 0))
}

/** True if a reserved bit (0-8) of a refcount table entry is set; a check reports it. @internal */
export function refcountEntryHasReservedBits(table: DataView, index: number): boolean {
  return (table.getUint32(index * 8 + 4) & 0x1ff) !== 0
}

/** Writes entry `index` of a refcount table; `offset` is a multiple of the cluster size, or 0. @internal */
export function setRefcountBlockOffset(table: DataView, index: number, offset: number): void {
  table.setUint32(index * 8, highHalf(offset))
  table.setUint32(index * 8 + 4, lowHalf(offset))
}

/** The largest refcount of a width; for 64 bits the largest safe integer, which no image can exceed. @internal */
export function maxRefcount(bits: RefcountBits): number {
  return bits === 64 ? Number.MAX_SAFE_INTEGER : 2 ** bits - 1
}

/** Reads and writes the refcounts of a block; one object per width, chosen once per image. @internal */
export interface RefcountCodec {
  readonly bits: RefcountBits
  /** See {@link maxRefcount}. */
  readonly max: number
  /** The refcount at `index`. A 64-bit refcount above 2^53 - 1 reads as 2^53 - 1: in use, and shared. */
  get(block: DataView, index: number): number
  /**
   * Stores the refcount at `index`.
   *
   * @throws BlockError `invalid` (EINVAL), if `value` is not an integer from 0 to `max`; the block is unchanged.
   */
  set(block: DataView, index: number, value: number): void
  /** Stores the same refcount at `count` places from `first` on. @throws as {@link set}; the block is unchanged */
  fill(block: DataView, first: number, count: number, value: number): void
  /** How many refcounts from `from` on, in front of `to`, are 0 before the first one that is not. */
  zeroes(block: DataView, from: number, to: number): number
}

/** The codec of a refcount width. @internal */
export function refcountCodec(bits: RefcountBits): RefcountCodec {
  switch (bits) {
    case 8:
      return codec(8, (block, i) => block.getUint8(i), (block, i, v) => block.setUint8(i, v))
    case 16:
      return codec(16, (block, i) => block.getUint16(i * 2), (block, i, v) => block.setUint16(i * 2, v))
    case 32:
      return codec(32, (block, i) => block.getUint32(i * 4), (block, i, v) => block.setUint32(i * 4, v))
    case 64:
      return codec(64, getWide, setRefcountBlockOffset)
    default:
      return packedCodec(bits)
  }
}

type Getter = (block: DataView, index: number) => number
type Setter = (block: DataView, index: number, value: number) => void

function codec(bits: RefcountBits, get: Getter, store: Setter): RefcountCodec {
  const max = maxRefcount(bits)
  const assertFits = (value: number): void => {
    if (!Number.isInteger(value) || value < 0 || value > max) {
      throw new BlockError('invalid', `Refcount ${value} does not fit into ${bits} bits`, {
        detail: { field: 'refcount' },
      })
    }
  }
  return {
    bits,
    max,
    get,
    set(block, index, value) {
      assertFits(value)
      store(block, index, value)
    },
    fill(block, first, count, value) {
      assertFits(value)
      for (let index = first; index < first + count; index++) store(block, index, value)
    },
    zeroes(block, from, to) {
      let index = from
      while (index < to && get(block, index) === 0) index++
      return index - from
    },
  }
}

function getWide(block: DataView, index: number): number {
  return Math.min(joinHalves(block.getUint32(index * 8), block.getUint32(index * 8 + 4)), Number.MAX_SAFE_INTEGER)
}

// "If refcount_bits implies a sub-byte width, note that bit 0 means the least significant bit in this context":
// entry 0 is in the low bits of byte 0.
function packedCodec(bits: 1 | 2 | 4): RefcountCodec {
  const perByte = 8 / bits
  const mask = 2 ** bits - 1
  return codec(
    bits,
    (block, index) => (block.getUint8(Math.floor(index / perByte)) >>> ((index % perByte) * bits)) & mask,
    (block, index, value) => {
      const at = Math.floor(index / perByte)
      const shift = (index % perByte) * bits
      block.setUint8(at, (block.getUint8(at) & ~(mask << shift)) | (value << shift))
    },
  )
}
