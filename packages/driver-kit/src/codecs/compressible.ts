/** Below this many bytes trying is as cheap as guessing. */
const SMALLEST = 16 * 1024

/** Windows that are looked at, spread over the data. */
const WINDOWS = 8
const WINDOW_BYTES = 1024

/** Bits a byte, estimated from the windows, above which Huffman codes gain less than 3 %. */
const HIGH_ENTROPY = 7.75

/** Positions in a window that repeat four bytes from before; noise has next to none. */
const FEW_REPEATS = WINDOW_BYTES / 64

const counts = new Uint32Array(256)
const lastSeen = new Uint16Array(4096)

/**
 * Tells, in some 40 µs for any size, whether data is worth compressing: deflate spends 20 times that on noise only to
 * find that it does not get smaller. Noise is what has both a flat distribution of bytes and no repeats in any of the
 * windows looked at; what is compressible in a quarter of the places or more is never taken for noise.
 *
 * @internal
 */
export function isCompressible(bytes: Uint8Array): boolean {
  if (bytes.length < SMALLEST) return true
  counts.fill(0)
  const stride = Math.floor((bytes.length - WINDOW_BYTES) / (WINDOWS - 1))
  for (let i = 0; i < WINDOWS; i++) {
    const from = i * stride
    for (let at = from; at < from + WINDOW_BYTES; at++) counts[bytes[at]!]!++
    // Text and code give themselves away in the first window.
    if (i === 0 && entropy(WINDOW_BYTES) < HIGH_ENTROPY - 0.25) return true
  }
  if (entropy(WINDOWS * WINDOW_BYTES) < HIGH_ENTROPY) return true
  for (let i = 0; i < WINDOWS; i++) if (repeats(bytes, i * stride) > FEW_REPEATS) return true
  return false
}

/** Shannon entropy of what was counted, bits a byte. A sample of n bytes looks 184 / n bits poorer than it is. */
function entropy(total: number): number {
  let sum = 0
  for (let value = 0; value < 256; value++) {
    const count = counts[value]!
    if (count > 0) sum += count * Math.log2(count)
  }
  return Math.log2(total) - sum / total
}

/** How many positions of a window start with the same four bytes as an earlier one that the hash remembers. */
function repeats(bytes: Uint8Array, from: number): number {
  lastSeen.fill(0xffff)
  const end = from + WINDOW_BYTES - 4
  let found = 0
  for (let at = from; at < end; at++) {
    const word = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
    const slot = Math.imul(word, 0x9e3779b1) >>> 20
    const before = lastSeen[slot]!
    lastSeen[slot] = at - from
    if (before === 0xffff) continue
    const other = from + before
    if (bytes[other] === bytes[at] && bytes[other + 1] === bytes[at + 1] && bytes[other + 2] === bytes[at + 2] && bytes[other + 3] === bytes[at + 3]) found++
  }
  return found
}
