import { BlockError, MAX_IMAGE_SIZE } from '@blockloom/block-driver'

/** Bytes before the guest's. @internal */
export const HEADER_SIZE = 512

const MAGIC = new TextEncoder().encode('acme')
const SIZE_AT = 32
const HIGH = 2 ** 32

/** Does a file begin as an image of this format does? @internal */
export function hasMagic(head: Uint8Array): boolean {
  return head.length >= MAGIC.length && MAGIC.every((byte, index) => head[index] === byte)
}

/** The header of an image of `size` bytes. @internal */
export function encodeHeader(size: number): Uint8Array {
  const header = new Uint8Array(HEADER_SIZE)
  const view = new DataView(header.buffer)
  header.set(MAGIC)
  view.setUint32(SIZE_AT, Math.floor(size / HIGH))
  view.setUint32(SIZE_AT + 4, size % HIGH)
  return header
}

/**
 * The size of the image, in bytes, by its header.
 *
 * @param fileSize - bytes in the file, header included
 * @throws BlockError `corrupt` that names the field
 * @internal
 */
export function decodeHeader(header: Uint8Array, fileSize: number): number {
  if (!hasMagic(header)) throw new BlockError('corrupt', 'Image is not in acme format', { detail: { field: 'magic' } })
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength)
  const size = view.getUint32(SIZE_AT) * HIGH + view.getUint32(SIZE_AT + 4)
  if (size > MAX_IMAGE_SIZE - HEADER_SIZE) throw new BlockError('range', 'Image size is too large', { errno: 'EFBIG', detail: { field: 'size' } })
  if (size > fileSize - HEADER_SIZE) throw new BlockError('corrupt', 'Image size is larger than its file', { detail: { field: 'size' } })
  return size
}
