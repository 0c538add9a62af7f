import { damaged } from './codec.ts'

// RFC 8878, sections 3.1.1 and 3.1.2.
const FRAME_MAGIC = 0xfd2fb528
const SKIPPABLE_MAGIC = 0x184d2a50
const BLOCK_RLE = 1
const BLOCK_RESERVED = 3

/** What decoders must support at least (RFC 8878, 3.1.1.1.2), and the most that is allocated for a frame. @internal */
export const MAX_WINDOW_LOG = 23

/** Where the first frame of some data ends, and what it says of itself. @internal */
export interface ZstdFrame {
  /** Offset behind the frame. */
  readonly end: number
  /** Carries no data. */
  readonly skippable: boolean
  /** Bytes that it gives, which decoders check; `null` if it does not say. */
  readonly content: number | null
}

/**
 * Finds the end of the zstd frame at `start` from its block headers, without decompressing. Decoders want to know
 * it: behind a compressed cluster lie other bytes, often the next cluster's frame.
 *
 * @throws BlockError `io` if there is no frame, it is truncated, or it needs a window above 8 MiB
 * @internal
 */
export function zstdFrame(data: Uint8Array, start: number): ZstdFrame {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  need(data, start + 5)
  const magic = view.getUint32(start, true)
  if (magic - (magic % 16) === SKIPPABLE_MAGIC) {
    need(data, start + 8)
    const end = start + 8 + view.getUint32(start + 4, true)
    need(data, end)
    return { end, skippable: true, content: 0 }
  }
  if (magic !== FRAME_MAGIC) throw damaged('zstd', 'no frame at this place')

  const descriptor = data[start + 4]!
  const singleSegment = (descriptor & 0x20) !== 0
  const contentSizeFlag = descriptor >> 6
  let at = start + 5
  if (!singleSegment) {
    need(data, at + 1)
    // Window_Descriptor: exponent and mantissa.
    const exponent = data[at]! >> 3
    const window = 2 ** (10 + exponent) * (1 + (data[at]! & 7) / 8)
    if (window > 2 ** MAX_WINDOW_LOG) throw damaged('zstd', `the frame needs a window of ${window} bytes`)
    at += 1
  }
  at += [0, 1, 2, 4][descriptor & 3]!
  const sizeBytes = contentSizeFlag === 0 ? (singleSegment ? 1 : 0) : 2 ** contentSizeFlag
  need(data, at + sizeBytes)
  const content = contentSize(view, at, sizeBytes)
  // The window of a single segment is its content.
  if (singleSegment && content !== null && content > 2 ** MAX_WINDOW_LOG) throw damaged('zstd', `the frame needs a window of ${content} bytes`)
  at += sizeBytes

  for (let last = false; !last; ) {
    need(data, at + 3)
    const header = data[at]! + data[at + 1]! * 0x100 + data[at + 2]! * 0x10000
    const type = (header >> 1) & 3
    if (type === BLOCK_RESERVED) throw damaged('zstd', 'a block has the reserved type')
    last = (header & 1) === 1
    // An RLE block's size is what it expands to; it takes one byte.
    at += 3 + (type === BLOCK_RLE ? 1 : header >> 3)
    need(data, at)
  }
  if (descriptor & 4) at += 4
  need(data, at)
  return { end: at, skippable: false, content }
}

/** Frame_Content_Size (RFC 8878, 3.1.1.1.4). */
function contentSize(view: DataView, at: number, bytes: number): number | null {
  switch (bytes) {
    case 0:
      return null
    case 1:
      return view.getUint8(at)
    case 2:
      return view.getUint16(at, true) + 256
    case 4:
      return view.getUint32(at, true)
    default:
      return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32
  }
}

function need(data: Uint8Array, end: number): void {
  if (end > data.length) throw damaged('zstd', 'the frame is truncated')
}
