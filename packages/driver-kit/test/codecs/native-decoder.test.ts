import zlib from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { nativeDecoder, NativeDecoder } from '../../src/codecs/native-decoder.node.ts'

const cluster = (i: number): Uint8Array => Uint8Array.from({ length: 4096 + (i % 5) * 15000 }, (_, at) => (at * (i + 3)) % 251)
const native = nativeDecoder()

describe.skipIf(native === null)('the decoder compiled into Node', () => {
  const decode = (zstd: boolean, from: Uint8Array, into: Uint8Array): Promise<boolean> => (zstd ? native!.zstd(from, into) : native!.inflate(from, into))

  test.each([false, true])('decodes many clusters at once, each into its own place (zstd: %s)', async (zstd) => {
    const clusters = Array.from({ length: 200 }, (_, i) => cluster(i))
    const compressed = clusters.map((bytes) => (zstd ? zlib.zstdCompressSync(bytes) : zlib.deflateRawSync(bytes)))
    // One buffer for all: what is written around a cluster would show.
    const out = new Uint8Array(clusters.reduce((sum, bytes) => sum + bytes.length, 0))
    let at = 0
    const filled: boolean[] = []
    for (let first = 0; first < clusters.length; first += 20) {
      const batch = clusters.slice(first, first + 20).map((bytes, i) => decode(zstd, compressed[first + i]!, out.subarray(at, (at += bytes.length))))
      filled.push(...(await Promise.all(batch)))
    }
    expect(filled.every(Boolean)).toBe(true)
    expect(Buffer.compare(out, Buffer.concat(clusters))).toBe(0)
  })

  test('says so when data does not fill a cluster, and goes on with the next', async () => {
    const good = zlib.deflateRawSync(cluster(1))
    const into = () => new Uint8Array(cluster(1).length)
    const results = await Promise.all([
      decode(false, good, into()),
      decode(false, good.subarray(0, 20), into()),
      decode(false, new Uint8Array(100).fill(0xff), into()),
      decode(false, new Uint8Array(0), into()),
      decode(true, new Uint8Array(100).fill(0xff), into()),
      decode(true, zlib.zstdCompressSync(new Uint8Array(10)), into()),
      decode(true, zlib.zstdCompressSync(new Uint8Array(200_000)), into()),
      decode(false, good, into()),
    ])
    expect(results).toEqual([true, false, false, false, false, false, false, true])
    expect(await decode(false, good, into())).toBe(true)
  })

  test('takes data that goes on behind the cluster, and leaves what is behind the cluster alone', async () => {
    const packed = zlib.deflateRawSync(new Uint8Array(10_000).fill(5))
    const around = new Uint8Array(6000).fill(9)
    expect(await decode(false, packed, around.subarray(1000, 5000))).toBe(true)
    expect(around.every((byte, i) => byte === (i >= 1000 && i < 5000 ? 5 : 9))).toBe(true)
    expect(await decode(true, zlib.zstdCompressSync(new Uint8Array(10_000).fill(5)), around.subarray(1000, 5000))).toBe(false)
    expect([...around.subarray(0, 1000), ...around.subarray(5000)].every((byte) => byte === 9)).toBe(true)
  })

  test('reads and writes buffers of every size and place, also those that Node keeps in its own heap', async () => {
    for (const bytes of [1, 7, 40, 63, 64, 65, 513]) {
      const content = cluster(2).subarray(11, 11 + bytes)
      for (const zstd of [false, true]) {
        const packed = zstd ? zlib.zstdCompressSync(content) : zlib.deflateRawSync(content)
        const into = new Uint8Array(bytes)
        expect(await decode(zstd, Uint8Array.from(packed), into)).toBe(true)
        expect(into).toEqual(new Uint8Array(content))
      }
    }
  })
})

test('a process that does not export zlib has no such decoder', () => {
  const func = (prototype: string): never => {
    throw new Error(`Cannot find function in '${prototype}'`)
  }
  expect(() => new NativeDecoder({ load: () => ({ func }), address: () => 0n })).toThrow('inflateInit2_')
})
