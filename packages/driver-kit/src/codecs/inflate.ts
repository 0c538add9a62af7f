import { damaged } from './codec.ts'

// RFC 1951, section 3.2.5.
const LENGTH_BASE = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258]
const LENGTH_EXTRA = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0]
const DISTANCE_BASE = [1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577]
const DISTANCE_EXTRA = [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13]
// Section 3.2.7.
const CODE_LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
const MAX_CODE_BITS = 15
const END_OF_BLOCK = 256

/** A prefix code: how many codes there are of each length, and the symbols in the order of their codes. */
interface PrefixCode {
  /** Answers codes of up to {@link FAST_BITS} bits at once: symbol * 16 + length, 0 = longer. */
  readonly fast: Uint16Array
  readonly counts: Uint16Array
  readonly symbols: Uint16Array
}
const FAST_BITS = 9

/**
 * Inflates raw deflate data until `into` is full; what follows is not looked at. For hosts whose own inflater
 * refuses bytes behind the end of the data, and for data that others give up on: this one needs no more of it than
 * `into` asks for.
 *
 * @throws BlockError `io` if the data is corrupt or ends before `into` is full
 * @internal
 */
export function inflate(from: Uint8Array, into: Uint8Array): void {
  new Inflater(from, into).run()
}

class Inflater {
  readonly #from: Uint8Array
  readonly #into: Uint8Array
  #next = 0
  #held = 0
  #heldBits = 0
  #filled = 0

  constructor(from: Uint8Array, into: Uint8Array) {
    this.#from = from
    this.#into = into
  }

  run(): void {
    for (let last = false; !last && this.#filled < this.#into.length; ) {
      last = this.#bits(1) === 1
      const type = this.#bits(2)
      if (type === 0) this.#stored()
      else if (type === 1) this.#compressed(FIXED_LITERALS, FIXED_DISTANCES)
      else if (type === 2) this.#dynamic()
      else throw damaged('zlib', 'a block has the reserved type')
    }
    if (this.#filled < this.#into.length) throw damaged('zlib', `it ends after ${this.#filled} of ${this.#into.length} bytes`)
  }

  #stored(): void {
    this.#next -= this.#heldBits >> 3
    this.#held = 0
    this.#heldBits = 0
    const from = this.#from
    const at = this.#next
    if (at + 4 > from.length) throw truncated()
    const length = from[at]! + from[at + 1]! * 256
    if (length + from[at + 2]! + from[at + 3]! * 256 !== 0xffff) throw damaged('zlib', 'a stored block has a wrong length')
    const wanted = Math.min(length, this.#into.length - this.#filled)
    if (at + 4 + wanted > from.length) throw truncated()
    this.#into.set(from.subarray(at + 4, at + 4 + wanted), this.#filled)
    this.#filled += wanted
    this.#next = at + 4 + length
  }

  #dynamic(): void {
    const literals = this.#bits(5) + 257
    const distances = this.#bits(5) + 1
    const codeLengths = this.#bits(4) + 4
    if (literals > 286 || distances > 30) throw damaged('zlib', 'a block has too many codes')
    const orders = new Uint8Array(19)
    for (let i = 0; i < codeLengths; i++) orders[CODE_LENGTH_ORDER[i]!] = this.#bits(3)
    const code = prefixCode(orders, 'code length')
    const lengths = new Uint8Array(literals + distances)
    for (let i = 0; i < lengths.length; ) {
      const symbol = this.#symbol(code)
      if (symbol < 16) {
        lengths[i++] = symbol
        continue
      }
      if (symbol === 16 && i === 0) throw damaged('zlib', 'a block repeats a code length before the first')
      const value = symbol === 16 ? lengths[i - 1]! : 0
      const times = symbol === 16 ? 3 + this.#bits(2) : symbol === 17 ? 3 + this.#bits(3) : 11 + this.#bits(7)
      if (i + times > lengths.length) throw damaged('zlib', 'a block has too many code lengths')
      lengths.fill(value, i, i + times)
      i += times
    }
    if (lengths[END_OF_BLOCK] === 0) throw damaged('zlib', 'a block has no end')
    this.#compressed(prefixCode(lengths.subarray(0, literals), 'literal'), prefixCode(lengths.subarray(literals), 'distance'))
  }

  #compressed(literals: PrefixCode, distances: PrefixCode): void {
    const into = this.#into
    while (this.#filled < into.length) {
      const symbol = this.#symbol(literals)
      if (symbol < END_OF_BLOCK) {
        into[this.#filled++] = symbol
        continue
      }
      if (symbol === END_OF_BLOCK) return
      const lengthCode = symbol - 257
      if (lengthCode >= LENGTH_BASE.length) throw damaged('zlib', 'a length is reserved')
      const length = LENGTH_BASE[lengthCode]! + this.#bits(LENGTH_EXTRA[lengthCode]!)
      const distanceCode = this.#symbol(distances)
      if (distanceCode >= DISTANCE_BASE.length) throw damaged('zlib', 'a distance is reserved')
      const distance = DISTANCE_BASE[distanceCode]! + this.#bits(DISTANCE_EXTRA[distanceCode]!)
      if (distance > this.#filled) throw damaged('zlib', 'a distance reaches before the start')
      const end = Math.min(into.length, this.#filled + length)
      // Source and target may overlap: then the bytes repeat.
      for (let to = this.#filled, at = to - distance; to < end; ) into[to++] = into[at++]!
      this.#filled = end
    }
  }

  /** The next symbol. Codes are packed with their first bit first. */
  #symbol(code: PrefixCode): number {
    this.#hold(MAX_CODE_BITS)
    const entry = code.fast[this.#held & ((1 << FAST_BITS) - 1)]!
    if (entry !== 0) {
      this.#take(entry & 15)
      return entry >> 4
    }
    let first = 0
    let index = 0
    for (let length = 1, value = 0; length <= MAX_CODE_BITS; length++) {
      value = value * 2 + ((this.#held >> (length - 1)) & 1)
      const count = code.counts[length]!
      if (value - first < count) {
        this.#take(length)
        return code.symbols[index + value - first]!
      }
      index += count
      first = (first + count) * 2
    }
    throw damaged('zlib', 'a code is not assigned')
  }

  #bits(count: number): number {
    this.#hold(count)
    const value = this.#held & ((1 << count) - 1)
    this.#take(count)
    return value
  }

  /** Holds `count` bits at least, at most 22; behind the end of the data they are zeroes, which {@link #take} refuses. */
  #hold(count: number): void {
    while (this.#heldBits < count && this.#next < this.#from.length) {
      this.#held |= this.#from[this.#next++]! << this.#heldBits
      this.#heldBits += 8
    }
  }

  #take(count: number): void {
    if (count > this.#heldBits) throw truncated()
    this.#held >>>= count
    this.#heldBits -= count
  }
}

/** Section 3.2.2: the codes of each length are consecutive, in the order of their symbols. */
function prefixCode(lengths: Uint8Array, what: string): PrefixCode {
  const counts = new Uint16Array(MAX_CODE_BITS + 1)
  for (const length of lengths) counts[length]! += 1
  const used = lengths.length - counts[0]!
  counts[0] = 0
  const nextCode = new Uint16Array(MAX_CODE_BITS + 1)
  const nextIndex = new Uint16Array(MAX_CODE_BITS + 1)
  let room = 1
  for (let length = 1; length <= MAX_CODE_BITS; length++) {
    room = room * 2 - counts[length]!
    if (room < 0) throw damaged('zlib', `the ${what} code has too many codes`)
    nextCode[length] = (nextCode[length - 1]! + counts[length - 1]!) * 2
    nextIndex[length] = nextIndex[length - 1]! + counts[length - 1]!
  }
  // A single code of one bit may stand alone; no code at all fails when one is read.
  const single = used === 1 && counts[1] === 1 && what !== 'code length'
  if (room > 0 && used > 0 && !single) throw damaged('zlib', `the ${what} code is incomplete`)
  const fast = new Uint16Array(1 << FAST_BITS)
  const symbols = new Uint16Array(used)
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    const length = lengths[symbol]!
    if (length === 0) continue
    symbols[nextIndex[length]!++] = symbol
    const code = nextCode[length]!++
    if (length > FAST_BITS) continue
    for (let at = reversed(code, length); at < fast.length; at += 1 << length) fast[at] = symbol * 16 + length
  }
  return { fast, counts, symbols }
}

function reversed(code: number, length: number): number {
  let out = 0
  for (let i = 0; i < length; i++) out = out * 2 + ((code >> i) & 1)
  return out
}

function fixedLiterals(): PrefixCode {
  const lengths = new Uint8Array(288).fill(8)
  lengths.fill(9, 144, 256)
  lengths.fill(7, 256, 280)
  return prefixCode(lengths, 'literal')
}

const FIXED_LITERALS = /* @__PURE__ */ fixedLiterals()
const FIXED_DISTANCES = /* @__PURE__ */ prefixCode(new Uint8Array(32).fill(5), 'distance')

function truncated(): Error {
  return damaged('zlib', 'it is truncated')
}
