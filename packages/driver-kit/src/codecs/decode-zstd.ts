import { damaged } from './codec.ts'
import { zstdFrame } from './zstd-frame.ts'

/** Decodes one zstd frame, which may give at most `into.length` bytes, and returns them, in `into` or elsewhere. @internal */
export type ZstdFrameDecoder = (frame: Uint8Array, into: Uint8Array) => Uint8Array | Promise<Uint8Array>

// A cluster is one frame. Starting a decoder costs much more than a byte of input: a cluster of tiny frames would take seconds.
const MAX_FRAMES = 64

/**
 * Fills `into` from one or more zstd frames; what follows the frame that fills it is not looked at.
 *
 * @internal
 */
export async function decodeZstd(from: Uint8Array, into: Uint8Array, decode: ZstdFrameDecoder): Promise<void> {
  let start = 0
  let filled = 0
  for (let frames = 0; filled < into.length; frames++) {
    if (frames === MAX_FRAMES) throw damaged('zstd', `it has more than ${MAX_FRAMES} frames`)
    const { end, skippable } = zstdFrame(from, start)
    if (!skippable) {
      const rest = into.subarray(filled)
      const bytes = await decode(from.subarray(start, end), rest)
      if (bytes.length > rest.length) throw damaged('zstd', `it gives more than ${into.length} bytes`)
      if (bytes.buffer !== rest.buffer || bytes.byteOffset !== rest.byteOffset) rest.set(bytes)
      filled = into.length - rest.length + bytes.length
    }
    start = end
  }
}
