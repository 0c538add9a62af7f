/** What FIPS 197 computes byte by byte, tabulated: one look-up per byte and round instead of arithmetic. @internal */
export interface AesTables {
  /** SubBytes (FIPS 197, section 5.1.1). */
  readonly box: Uint8Array
  /** InvSubBytes (section 5.3.2). */
  readonly inverseBox: Uint8Array
  /** SubBytes and MixColumns in one, for each of a column's four rows; big-endian columns. */
  readonly mix: readonly [Uint32Array, Uint32Array, Uint32Array, Uint32Array]
  /** InvSubBytes and InvMixColumns in one. */
  readonly inverseMix: readonly [Uint32Array, Uint32Array, Uint32Array, Uint32Array]
}

let tables: AesTables | undefined

/** The tables, computed at the first use. @internal */
export function aesTables(): AesTables {
  tables ??= compute()
  return tables
}

function compute(): AesTables {
  const box = new Uint8Array(256)
  const inverseBox = new Uint8Array(256)
  // Powers of the generator 3, and of its inverse at the same time: x * y is 1 all the way.
  let x = 1
  let y = 1
  do {
    x = x ^ double(x)
    y = divideBy3(y)
    const spread = y ^ rotate8(y, 1) ^ rotate8(y, 2) ^ rotate8(y, 3) ^ rotate8(y, 4) ^ 0x63
    box[x] = spread
  } while (x !== 1)
  box[0] = 0x63
  for (let i = 0; i < 256; i++) inverseBox[box[i]!] = i

  const column = new Uint32Array(256)
  const inverseColumn = new Uint32Array(256)
  for (let i = 0; i < 256; i++) {
    const s = box[i]!
    column[i] = (double(s) << 24) | (s << 16) | (s << 8) | (double(s) ^ s)
    const v = inverseBox[i]!
    const two = double(v)
    const four = double(two)
    const eight = double(four)
    inverseColumn[i] = ((eight ^ four ^ two) << 24) | ((eight ^ v) << 16) | ((eight ^ four ^ v) << 8) | (eight ^ two ^ v)
  }
  return { box, inverseBox, mix: rows(column), inverseMix: rows(inverseColumn) }
}

function rows(column: Uint32Array): readonly [Uint32Array, Uint32Array, Uint32Array, Uint32Array] {
  const turned = (bits: number): Uint32Array => column.map((word) => (word >>> bits) | (word << (32 - bits)))
  return [column, turned(8), turned(16), turned(24)]
}

// Multiplication by x in GF(2^8), section 4.2.1.
function double(value: number): number {
  return ((value << 1) ^ ((value >>> 7) * 0x1b)) & 0xff
}

// 1/3 is 0xf6.
function divideBy3(value: number): number {
  let product = 0
  let power = value
  for (let bits = 0xf6; bits !== 0; bits >>>= 1) {
    if ((bits & 1) !== 0) product ^= power
    power = double(power)
  }
  return product
}

function rotate8(value: number, bits: number): number {
  return ((value << bits) | (value >>> (8 - bits))) & 0xff
}
