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

function decodeLossless(bytes: Uint8Array): string {
  let name = ''
  let at = 0
  while (at < bytes.length) {
    const length = sequenceLength(bytes[at]!)
    const sequence = length === 0 ? undefined : tryDecode(bytes.subarray(at, at + length))
    if (sequence === undefined) {
      name += String.fromCharCode(0xdc00 + bytes[at]!)
      at += 1
    } else {
      name += sequence
      at += length
    }
  }
  return name
}

function tryDecode(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes)
  } catch {
    return undefined
  }
}

/** Length of the UTF-8 sequence that a first byte announces; 0 if it cannot be a first byte. */
function sequenceLength(first: number): number {
  if (first < 0x80) return 1
  if (first >= 0xc2 && first < 0xe0) return 2
  if (first >= 0xe0 && first < 0xf0) return 3
  if (first >= 0xf0 && first < 0xf5) return 4
  return 0
}
