import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import zlib from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { DecodePool } from '../../src/codecs/decode-pool.node.ts'

const cluster = (i: number): Uint8Array => Uint8Array.from({ length: 4096 + (i % 5) * 15000 }, (_, at) => (at * (i + 3)) % 251)

describe('the decoding threads', () => {
  test.each([false, true])('decode hundreds of clusters at once, each into its own place (zstd: %s)', async (zstd) => {
    const pool = new DecodePool(3)
    const clusters = Array.from({ length: 400 }, (_, i) => cluster(i))
    const compressed = clusters.map((bytes) => (zstd ? zlib.zstdCompressSync(bytes) : zlib.deflateRawSync(bytes)))
    const out = clusters.map((bytes) => new Uint8Array(bytes.length))
    const filled = await Promise.all(out.map((into, i) => pool.decode(zstd, compressed[i]!, into)))
    expect(filled.every(Boolean)).toBe(true)
    for (const [i, into] of out.entries()) expect(Buffer.compare(into, clusters[i]!)).toBe(0)
  })

  test('say so when data does not fill a cluster, and go on with the next', async () => {
    const pool = new DecodePool(1)
    const good = zlib.deflateRawSync(cluster(1))
    const into = () => new Uint8Array(cluster(1).length)
    const results = await Promise.all([
      pool.decode(false, good, into()),
      pool.decode(false, good.subarray(0, 20), into()),
      pool.decode(false, new Uint8Array(100).fill(0xff), into()),
      pool.decode(true, new Uint8Array(100).fill(0xff), into()),
      pool.decode(true, zlib.zstdCompressSync(new Uint8Array(10)), into()),
      pool.decode(true, zlib.zstdCompressSync(new Uint8Array(200_000)), into()),
      pool.decode(false, good, into()),
    ])
    expect(results).toEqual([true, false, false, false, false, false, true])
  })

  test('leave clusters alone that are too long', () => {
    const pool = new DecodePool(1)
    expect(pool.accepts(new Uint8Array(10), new Uint8Array(1 << 20))).toBe(false)
    expect(pool.accepts(new Uint8Array(1 << 20), new Uint8Array(10))).toBe(false)
    expect(pool.accepts(new Uint8Array(10), new Uint8Array(0))).toBe(false)
  })

  test('do not keep a process alive that has nothing left to decode', async () => {
    const codecs = fileURLToPath(new URL('../../src/codecs/codecs.node.ts', import.meta.url))
    const program = `
      import zlib from 'node:zlib'
      import { zlibRaw } from ${JSON.stringify(codecs)}
      const into = new Uint8Array(65536)
      await zlibRaw().decompress(zlib.deflateRawSync(new Uint8Array(65536).fill(7)), into)
      console.log(into.every((byte) => byte === 7))`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { timeout: 20_000 })
    expect(stdout).toBe('true\n')
  })
})
