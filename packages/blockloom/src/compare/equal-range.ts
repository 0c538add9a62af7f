import { Buffer } from 'node:buffer'

/** Longest range that is compared with zeroes at once: these stay in the processor's cache. */
const BLOCK = 64 * 1024
const ZEROES = Buffer.alloc(BLOCK)

/** True if two buffers hold the same bytes from `from` to `to`; null stands for zeroes. @internal */
export function equalRange(a: Uint8Array | null, b: Uint8Array | null, from: number, to: number): boolean {
  if (a === null) return b === null || isZeroRange(b, from, to)
  if (b === null) return isZeroRange(a, from, to)
  return asBuffer(a).compare(b, from, to, from, to) === 0
}

/** True if all bytes from `from` to `to` are zero. The ends give most data away; the rest is memcmp. @internal */
export function isZeroRange(bytes: Uint8Array, from: number, to: number): boolean {
  if (from >= to) return true
  if (bytes[from] !== 0 || bytes[to - 1] !== 0) return false
  const buffer = asBuffer(bytes)
  for (let at = from; at < to; at += BLOCK) {
    const end = Math.min(to, at + BLOCK)
    if (buffer.compare(ZEROES, 0, end - at, at, end) !== 0) return false
  }
  return true
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
