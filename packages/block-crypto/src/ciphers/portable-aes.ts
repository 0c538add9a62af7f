import { type AesBlocks, BLOCK } from './aes-blocks.ts'
import { aesTables } from './aes-tables.ts'

type Rows = readonly [Uint32Array, Uint32Array, Uint32Array, Uint32Array]

/** AES (FIPS 197) in JavaScript. The caller has checked key and blocks. @internal */
export function portableAes(key: Uint8Array): AesBlocks {
  const { box, inverseBox, mix, inverseMix } = aesTables()
  const forward = expandKey(key)
  const backward = invertKey(forward)
  return {
    encrypt: (blocks) => transform(blocks, forward, mix, box, 4, 12),
    decrypt: (blocks) => transform(blocks, backward, inverseMix, inverseBox, 12, 4),
  }
}

/** Key expansion, section 5.2: four words per round and four at the start. */
function expandKey(key: Uint8Array): Uint32Array {
  const { box } = aesTables()
  const length = key.length / 4
  const words = new Uint32Array((length + 7) * 4)
  const view = new DataView(key.buffer, key.byteOffset, key.length)
  let constant = 1
  for (let i = 0; i < words.length; i++) {
    if (i < length) {
      words[i] = view.getUint32(i * 4)
      continue
    }
    let last = words[i - 1]!
    if (i % length === 0) {
      last = substitute(box, (last << 8) | (last >>> 24)) ^ (constant << 24)
      constant = (constant << 1) ^ (constant >= 0x80 ? 0x11b : 0)
    } else if (length > 6 && i % length === 4) {
      last = substitute(box, last)
    }
    words[i] = words[i - length]! ^ last
  }
  return words
}

function substitute(box: Uint8Array, word: number): number {
  return (box[word >>> 24]! << 24) | (box[(word >>> 16) & 0xff]! << 16) | (box[(word >>> 8) & 0xff]! << 8) | box[word & 0xff]!
}

/** The equivalent inverse cipher's key schedule, section 5.3.5: rounds backwards, InvMixColumns applied except at the ends; columns 0, 3, 2, 1. */
function invertKey(forward: Uint32Array): Uint32Array {
  const { box, inverseMix } = aesTables()
  const [m0, m1, m2, m3] = inverseMix
  const words = new Uint32Array(forward.length)
  for (let i = 0; i < words.length; i++) {
    const round = i - (i % 4)
    const word = forward[forward.length - 4 - round + ((4 - (i % 4)) % 4)]!
    const atAnEnd = i < 4 || i >= words.length - 4
    words[i] = atAnEnd ? word : m0[box[word >>> 24]!]! ^ m1[box[(word >>> 16) & 0xff]!]! ^ m2[box[(word >>> 8) & 0xff]!]! ^ m3[box[word & 0xff]!]!
  }
  return words
}

/**
 * Both directions. They differ in tables, key and the sense in which ShiftRows turns: with the columns taken in the order
 * 0, 3, 2, 1 the inverse turns as the other does. `second` and `fourth` say where those columns lie; the key follows.
 */
function transform(blocks: Uint8Array, key: Uint32Array, [m0, m1, m2, m3]: Rows, box: Uint8Array, second: 4 | 12, fourth: 4 | 12): Uint8Array {
  const out = new Uint8Array(blocks.length)
  const from = new DataView(blocks.buffer, blocks.byteOffset, blocks.length)
  const to = new DataView(out.buffer)
  const last = key.length - 4
  for (let at = 0; at < blocks.length; at += BLOCK) {
    let a = from.getInt32(at) ^ key[0]!
    let b = from.getInt32(at + second) ^ key[1]!
    let c = from.getInt32(at + 8) ^ key[2]!
    let d = from.getInt32(at + fourth) ^ key[3]!
    for (let k = 4; k < last; k += 4) {
      const w = m0[a >>> 24]! ^ m1[(b >>> 16) & 0xff]! ^ m2[(c >>> 8) & 0xff]! ^ m3[d & 0xff]! ^ key[k]!
      const x = m0[b >>> 24]! ^ m1[(c >>> 16) & 0xff]! ^ m2[(d >>> 8) & 0xff]! ^ m3[a & 0xff]! ^ key[k + 1]!
      const y = m0[c >>> 24]! ^ m1[(d >>> 16) & 0xff]! ^ m2[(a >>> 8) & 0xff]! ^ m3[b & 0xff]! ^ key[k + 2]!
      const z = m0[d >>> 24]! ^ m1[(a >>> 16) & 0xff]! ^ m2[(b >>> 8) & 0xff]! ^ m3[c & 0xff]! ^ key[k + 3]!
      a = w
      b = x
      c = y
      d = z
    }
    to.setInt32(at, column(box, a, b, c, d) ^ key[last]!)
    to.setInt32(at + second, column(box, b, c, d, a) ^ key[last + 1]!)
    to.setInt32(at + 8, column(box, c, d, a, b) ^ key[last + 2]!)
    to.setInt32(at + fourth, column(box, d, a, b, c) ^ key[last + 3]!)
  }
  return out
}

function column(box: Uint8Array, a: number, b: number, c: number, d: number): number {
  return (box[a >>> 24]! << 24) | (box[(b >>> 16) & 0xff]! << 16) | (box[(c >>> 8) & 0xff]! << 8) | box[d & 0xff]!
}
