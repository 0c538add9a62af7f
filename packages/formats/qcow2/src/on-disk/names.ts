// Names in an image are bytes. They are meant to be UTF-8, but file names and names written by others need not be.
// A byte that is not valid UTF-8 becomes the lone surrogate U+DC80 + (byte - 0x80), which no valid UTF-8 decodes
// to, so that every byte string survives being read and written back.

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

/** Decodes a name of the image; {@link encodeName} gives the same bytes back. @internal */
export function decodeName(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes)
  } catch {
    return decodeLossless(bytes)
  }
}

/** Decodes a name that the format ends at its first NUL, if it has one. @internal */
export function decodeTerminatedName(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  return decodeName(end === -1 ? bytes : bytes.subarray(0, end))
}

/** Encodes a name as UTF-8, and the lone surrogates of {@link decodeName} as the bytes they stand for. @internal */
export function encodeName(name: string): Uint8Array<ArrayBuffer> {
  if (name.isWellFormed()) return encoder.encode(name)
  const out: number[] = []
  for (const char of name) {
    const code = char.codePointAt(0)!
    if (code >= 0xdc80 && code <= 0xdcff) out.push(code - 0xdc00)
    else out.push(...encoder.encode(char))
  }
  return Uint8Array.from(out)
}

/** A name for a message: control characters, which could drive a terminal, become `?`. @internal */
export function printableName(name: string): string {
  return name.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?').toWellFormed()
}

// Without exceptions: a snapshot table can have 64 MiB of such names.
function decodeLossless(bytes: Uint8Array): string {
  const parts: string[] = []
  const units: number[] = []
  for (let at = 0; at < bytes.length; ) {
    const code = codePointAt(bytes, at)
    if (code === -1) units.push(0xdc00 + bytes[at]!)
    else if (code < 0x1_0000) units.push(code)
    else units.push(0xd800 + ((code - 0x1_0000) >>> 10), 0xdc00 + ((code - 0x1_0000) & 0x3ff))
    at += code === -1 ? 1 : sequenceLength(bytes[at]!)
    if (units.length >= 4096) parts.push(String.fromCharCode(...units.splice(0)))
  }
  return parts.join('') + String.fromCharCode(...units)
}

/** The code point of the UTF-8 sequence at `at`; -1 if it is not valid. Source: RFC 3629, section 4. */
function codePointAt(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!
  const length = sequenceLength(first)
  if (length <= 1) return length === 1 ? first : -1
  if (at + length > bytes.length) return -1
  let code = first & (0x7f >>> length)
  for (let i = 1; i < length; i++) {
    const next = bytes[at + i]!
    if ((next & 0xc0) !== 0x80) return -1
    code = code * 64 + (next & 0x3f)
  }
  const isOverlong = (length === 3 && code < 0x800) || (length === 4 && code < 0x1_0000)
  const isSurrogate = code >= 0xd800 && code <= 0xdfff
  return isOverlong || isSurrogate || code > 0x10_ffff ? -1 : code
}

/** Length of the UTF-8 sequence that a first byte announces; 0 if it cannot be a first byte. */
function sequenceLength(first: number): number {
  if (first < 0x80) return 1
  if (first >= 0xc2 && first < 0xe0) return 2
  if (first >= 0xe0 && first < 0xf0) return 3
  if (first >= 0xf0 && first < 0xf5) return 4
  return 0
}
