import type { HBitmap } from '@blockloom/hbitmap'

// Serialised bits: bit `n % 8` of byte `floor(n / 8)` is granule `n` (docs/interop/qcow2.txt, "Bitmap data").

/** HBitmap takes and gives words of 64 granules. */
const WORD_BYTES = 8

/**
 * The serialised bits from byte `offset` on, exactly `bytes` of them; null if all are zero. What is beyond the bitmap
 * is zero.
 *
 * @internal
 */
export function serialisedPart(bits: HBitmap, offset: number, bytes: number): Uint8Array | null {
  const from = wordsBefore(offset)
  const { disk, length } = diskRange(bits, from, offset + bytes)
  if (length === 0 || bits.nextDirty(disk, length) === null) return null
  const words = bits.serializePart(disk, length)
  const skip = offset - from
  if (skip === 0 && words.length === bytes) return words
  const part = new Uint8Array(bytes)
  part.set(words.subarray(skip, skip + bytes))
  return part
}

/** Replaces the bits from byte `offset` on; what is beyond the bitmap is not looked at. @internal */
export function loadPart(bits: HBitmap, offset: number, data: Uint8Array): void {
  const from = wordsBefore(offset)
  const { disk, length } = diskRange(bits, from, offset + data.length)
  if (length === 0) return
  const wanted = bits.serializationSize(disk, length)
  if (from === offset && wanted === data.length) {
    bits.deserializePart(disk, length, data)
    return
  }
  const words = bits.serializePart(disk, length)
  const skip = offset - from
  words.set(data.subarray(0, words.length - skip), skip)
  bits.deserializePart(disk, length, words)
}

function wordsBefore(offset: number): number {
  return offset - (offset % WORD_BYTES)
}

/** The bytes of the disk whose bits are serialised in `from` … `to`, whole words, up to the end of the disk. */
function diskRange(bits: HBitmap, from: number, to: number): { readonly disk: number; readonly length: number } {
  const perByte = bits.granularity * 8
  const disk = Math.min(bits.size, from * perByte)
  const end = Math.min(bits.size, Math.ceil(to / WORD_BYTES) * WORD_BYTES * perByte)
  return { disk, length: end - disk }
}
