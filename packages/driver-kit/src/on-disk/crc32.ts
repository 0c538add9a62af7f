// Reflected polynomials: IEEE 802.3, and Castagnoli (RFC 3720, appendix B.4).
const IEEE = 0xedb88320
const CASTAGNOLI = 0x82f63b78

/**
 * The CRC-32 of zip, gzip and GPT.
 *
 * @param before - the CRC of the bytes before these, to go on from; default none
 * @public
 */
export function crc32(bytes: Uint8Array, before = 0): number {
  return crc(IEEE_TABLES, bytes, before)
}

/** The CRC-32C (Castagnoli) of VHDX, iSCSI and ext4; see {@link crc32}. @public */
export function crc32c(bytes: Uint8Array, before = 0): number {
  return crc(CASTAGNOLI_TABLES, bytes, before)
}

/** Four tables of 256: a byte followed by 0, 1, 2 or 3 zero bytes. */
function tables(polynomial: number): Uint32Array {
  const table = new Uint32Array(4 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let value = byte
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1
    table[byte] = value
  }
  for (let i = 256; i < table.length; i++) {
    const before = table[i - 256]!
    table[i] = (before >>> 8) ^ table[before & 0xff]!
  }
  return table
}

const IEEE_TABLES = /* @__PURE__ */ tables(IEEE)
const CASTAGNOLI_TABLES = /* @__PURE__ */ tables(CASTAGNOLI)

function crc(table: Uint32Array, bytes: Uint8Array, before: number): number {
  let value = ~before
  const end = bytes.length
  let at = 0
  for (; at + 4 <= end; at += 4) {
    value ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    value = table[768 + (value & 0xff)]! ^ table[512 + ((value >>> 8) & 0xff)]! ^ table[256 + ((value >>> 16) & 0xff)]! ^ table[value >>> 24]!
  }
  for (; at < end; at++) value = (value >>> 8) ^ table[(value ^ bytes[at]!) & 0xff]!
  return ~value >>> 0
}
