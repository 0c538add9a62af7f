/**
 * Compression of clusters, for hosts without Node's zlib. Everything can be read; what can be written depends on
 * the host: its `CompressionStream` has a window of 32 KiB, more than qcow2 allows.
 *
 * @packageDocumentation
 */
import { type Codec, type ZlibOptions, type ZstdOptions, guarded, unsupported, zlibOptions, zstdLevel } from './codec.ts'
import { decodeZstd } from './decode-zstd.ts'
import { inflate } from './inflate.ts'

export type { Codec, CompressedPart, ZlibOptions, ZstdOptions } from './codec.ts'

/**
 * Raw deflate data (RFC 1951) without a zlib header, as in qcow2's compressed clusters. Compression is only there
 * with `windowBits: 15` and the default level; otherwise it is refused with `unsupported`.
 *
 * @throws BlockError `invalid` for a level or window out of range
 * @public
 */
export function zlibRaw(options: ZlibOptions = {}): Codec {
  const { windowBits, level } = zlibOptions(options)
  return {
    name: 'zlib',
    async compress(from, maxBytes) {
      if (windowBits !== 15) throw unsupported(`Compressing with a window of 2^${windowBits} bytes is not possible on this host`)
      if (level !== 6) throw unsupported(`Compressing with level ${level} is not possible on this host`)
      return deflateAtMost(from, maxBytes)
    },
    async decompress(from, into) {
      inflate(from, into)
    },
  }
}

/**
 * zstd frames (RFC 8878). Decompression needs `decoder`; compression is refused with `unsupported`.
 *
 * @throws BlockError `invalid` for a level out of range
 * @public
 */
export function zstd(options: ZstdOptions = {}): Codec {
  zstdLevel(options)
  const decode = options.decoder === undefined ? undefined : guarded(options.decoder)
  return {
    name: 'zstd',
    async compress() {
      throw unsupported('Compressing with zstd is not possible on this host')
    },
    async decompress(from, into) {
      if (decode === undefined) throw unsupported('Decompressing zstd needs a decoder on this host: zstd({ decoder })')
      await decodeZstd(from, into, decode)
    },
  }
}

async function deflateAtMost(from: Uint8Array, maxBytes: number): Promise<Uint8Array | null> {
  const source = new Blob([from as Uint8Array<ArrayBuffer>]).stream()
  const out = new Uint8Array(Math.max(0, maxBytes))
  let filled = 0
  for await (const chunk of source.pipeThrough(new CompressionStream('deflate-raw')) as unknown as AsyncIterable<Uint8Array>) {
    if (chunk.length > out.length - filled) return null
    out.set(chunk, filled)
    filled = filled + chunk.length
  }
  return out.subarray(0, filled)
}
