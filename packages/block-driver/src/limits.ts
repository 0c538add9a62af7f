/**
 * What an opened image wants of its requests. The core obeys: hooks receive nothing that breaks a limit.
 * All values are bytes; alignments are powers of two. `Infinity` is "no limit".
 *
 * @public
 */
export interface Limits {
  /** Offset and length of reads and writes are multiples of this (1 … 64 KiB). */
  readonly requestAlignment: number
  /** Address alignment of buffers that avoids a bounce copy; advice only. */
  readonly memoryAlignment: number
  /** Longest read or write; a multiple of `requestAlignment`, or Infinity. */
  readonly maxTransfer: number
  /** Preferred length of a sequential request, 0 = no preference. */
  readonly optimalTransfer: number
  /** `zero` works on multiples of this; the core handles ragged ends. */
  readonly zeroAlignment: number
  /** Longest `zero`. */
  readonly maxZero: number
  /** `discard` works on multiples of this; ragged ends are skipped. */
  readonly discardAlignment: number
  /** Longest `discard`. */
  readonly maxDiscard: number
  /** Allocation unit of a format, 0 if it has none. */
  readonly clusterSize: number
}

const UNLIMITED: Limits = Object.freeze({
  requestAlignment: 1,
  memoryAlignment: 1,
  maxTransfer: Infinity,
  optimalTransfer: 0,
  zeroAlignment: 1,
  maxZero: Infinity,
  discardAlignment: 1,
  maxDiscard: Infinity,
  clusterSize: 0,
})

/** Limits with everything left out unlimited. @public */
export function limits(some: Partial<Limits> = {}): Limits {
  return Object.freeze({ ...UNLIMITED, ...some })
}

/**
 * Largest image size and offset, bytes: the largest multiple of 64 KiB below 2^53, so that rounding an offset
 * up to any alignment the core supports stays a safe integer.
 *
 * @public
 */
export const MAX_IMAGE_SIZE = Number.MAX_SAFE_INTEGER + 1 - 65536
