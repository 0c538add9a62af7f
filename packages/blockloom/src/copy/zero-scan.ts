import { Buffer } from 'node:buffer'

/** Longest block that is compared at once. */
const BLOCK = 4096
const ZEROES = Buffer.alloc(BLOCK)

/** True if a block of at most 4 KiB is all zeroes. The first word gives most data away; the rest is one memcmp. */
function isZeroBlock(bytes: Buffer, from: number, to: number): boolean {
  if (bytes[from] !== 0 || bytes[to - 1] !== 0) return false
  return bytes.compare(ZEROES, 0, to - from, from, to) === 0
}

/** A run of a buffer: zeroes or data. @internal */
export interface Run {
  readonly zero: boolean
  readonly from: number
  readonly to: number
}

/**
 * Splits a buffer into runs of zeroes and data. A run of zeroes counts only if it covers whole `granularity` units,
 * counted from `origin` (where the buffer lies in the image), so that no unit of the target is half written.
 *
 * @param granularity - multiple of 512, at least the sparse size
 * @internal
 */
export function zeroRuns(bytes: Uint8Array, origin: number, granularity: number): Run[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const runs: Run[] = []
  let start = 0
  let kind: boolean | null = null
  for (let at = 0; at < buffer.length; ) {
    const unit = at + granularity - ((origin + at) % granularity)
    // Nothing but loads in this loop: the processor waits for the memory of many units at a time.
    let next = unit
    if (buffer[at] !== 0) while (next < buffer.length && buffer[next] !== 0) next += granularity
    if (next > buffer.length) next = buffer.length
    const zero = next <= unit && isZeroRange(buffer, at, next)
    if (kind !== null && zero !== kind) {
      runs.push({ zero: kind, from: start, to: at })
      start = at
    }
    kind = zero
    at = next
  }
  if (kind !== null) runs.push({ zero: kind, from: start, to: buffer.length })
  return runs
}

function isZeroRange(buffer: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at += BLOCK) if (!isZeroBlock(buffer, at, Math.min(to, at + BLOCK))) return false
  return true
}
