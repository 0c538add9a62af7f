import zlib from 'node:zlib'
import { expect, test, vi } from 'vitest'
import { zlibRaw, zstd } from '../../src/codecs/codecs.node.ts'

vi.mock('../../src/codecs/koffi.node.ts', () => ({ loadKoffi: () => null }))

test.each([
  ['zlib', zlibRaw(), zlib.deflateRawSync, 'it ends after'],
  ['zstd', zstd(), zlib.zstdCompressSync, 'the frame is truncated'],
] as const)('without koffi, %s data is decoded all the same', async (_name, codec, compress, complaint) => {
  const clusters = Array.from({ length: 50 }, (_, i) => Uint8Array.from({ length: 1000 * (i + 1) }, (_byte, at) => (at * (i + 3)) % 251))
  const out = clusters.map(({ length }) => new Uint8Array(length))
  await Promise.all(clusters.map((cluster, i) => codec.decompress(compress(cluster), out[i]!)))
  for (const [i, cluster] of clusters.entries()) expect(Buffer.compare(out[i]!, cluster)).toBe(0)
  await expect(codec.decompress(compress(new Uint8Array(10)), new Uint8Array(20))).rejects.toThrow(complaint)
})
