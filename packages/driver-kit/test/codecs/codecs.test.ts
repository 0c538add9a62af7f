import { zstdDecompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import * as browser from '../../src/codecs/codecs.browser.ts'
import * as node from '../../src/codecs/codecs.node.ts'
import type { Codec } from '../../src/codecs/codec.ts'
import { concat, generator, randomBytes, sample } from './samples.ts'

const CLUSTER = 65536
const decoder = (frame: Uint8Array, into: Uint8Array) => zstdDecompressSync(frame, { maxOutputLength: into.length })

// [name, compresses, decompresses]: what one host writes, the other reads.
const pairs: readonly (readonly [string, Codec, Codec])[] = [
  ['zlib, Node', node.zlibRaw(), node.zlibRaw()],
  ['zlib level 1 and 9 bits, Node', node.zlibRaw({ level: 1, windowBits: 9 }), node.zlibRaw()],
  ['zlib 15 bits, browser to Node', browser.zlibRaw({ windowBits: 15 }), node.zlibRaw()],
  ['zlib, Node to browser', node.zlibRaw(), browser.zlibRaw()],
  ['zlib stored blocks, Node to browser', node.zlibRaw({ level: 0 }), browser.zlibRaw()],
  ['zlib 15 bits, browser', browser.zlibRaw({ windowBits: 15 }), browser.zlibRaw()],
  ['zstd, Node', node.zstd(), node.zstd()],
  ['zstd level 19, Node', node.zstd({ level: 19 }), node.zstd()],
  ['zstd, Node with a decoder', node.zstd(), node.zstd({ decoder })],
  ['zstd, Node to browser with a decoder', node.zstd(), browser.zstd({ decoder })],
]

const text = (length = CLUSTER) => sample(length, generator(7)).map((byte) => 97 + (byte % 8))
const io = (codec: Codec) => expect.objectContaining({ code: 'io', errno: 'EIO', message: expect.stringContaining(`Could not decompress ${codec.name} data`) })

describe.each(pairs)('%s', (_name, writer, reader) => {
  it('gives back what was compressed, many at a time', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    const random = generator(seed)
    const clusters = Array.from({ length: 40 }, (_, i) => sample([512, 4096, 30_000, CLUSTER][i % 4]!, random))
    const same = await Promise.all(
      clusters.map(async (cluster) => {
        const packed = await writer.compress(cluster, cluster.length * 2 + 100)
        const into = new Uint8Array(cluster.length)
        await reader.decompress(packed!, into)
        return Buffer.compare(into, cluster) === 0
      }),
    )
    expect(same.indexOf(false), `seed ${seed}`).toBe(-1)
  })

  it('fills a view in the middle of a buffer and nothing around it', async () => {
    const packed = (await writer.compress(text(4096), 65536))!
    const around = new Uint8Array(4096 + 20).fill(0xee)
    await reader.decompress(concat(new Uint8Array(3), packed).subarray(3), around.subarray(10, 10 + 4096))
    expect(around.subarray(10, 10 + 4096)).toEqual(text(4096))
    expect([...around.subarray(0, 10), ...around.subarray(4106)]).toEqual(new Array(20).fill(0xee))
  })

  it('returns null when the result does not fit, and at the exact limit it fits', async () => {
    expect(await writer.compress(randomBytes(CLUSTER, generator(1)), CLUSTER - 1)).toBeNull()
    const packed = (await writer.compress(text(), CLUSTER * 2))!
    expect(await writer.compress(text(), packed.length)).toEqual(packed)
    expect(await writer.compress(text(), packed.length - 1)).toBeNull()
    expect(await writer.compress(text(), 0)).toBeNull()
  })

  it('ignores whatever follows the data', async () => {
    const packed = (await writer.compress(text(), CLUSTER * 2))!
    for (const tail of [new Uint8Array(511), new Uint8Array(1).fill(0xff), randomBytes(500, generator(2)), packed, packed.subarray(0, 20)]) {
      const into = new Uint8Array(CLUSTER)
      await reader.decompress(concat(packed, tail), into)
      expect(Buffer.compare(into, text())).toBe(0)
    }
  })

  it('refuses truncated data at every length', async () => {
    const packed = (await writer.compress(text(2000), 65536))!
    // The last bytes may be an end mark or a checksum after which nothing is missing.
    const lengths = Array.from({ length: packed.length - 9 }, (_, i) => i)
    const results = await Promise.allSettled(lengths.map((length) => reader.decompress(packed.slice(0, length), new Uint8Array(2000))))
    for (const result of results) expect(result).toEqual({ status: 'rejected', reason: io(reader) })
  })

  it('refuses data that gives too few bytes', async () => {
    const packed = (await writer.compress(text(1000), CLUSTER))!
    await expect(reader.decompress(packed, new Uint8Array(1001))).rejects.toEqual(io(reader))
    await expect(reader.decompress(concat(packed, new Uint8Array(512)), new Uint8Array(1001))).rejects.toEqual(io(reader))
  })

  it('survives damaged data: an io error or some bytes, never anything else', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    const random = generator(seed)
    const packed = (await writer.compress(text(3000), CLUSTER))!
    const results = await Promise.allSettled(
      Array.from({ length: 300 }, () => {
        const bad = packed.slice()
        for (let i = 0; i < 3; i++) bad[Math.floor(random() * bad.length)] = Math.floor(random() * 256)
        return reader.decompress(bad, new Uint8Array(3000))
      }),
    )
    for (const result of results) if (result.status === 'rejected') expect(result.reason, `seed ${seed}`).toEqual(io(reader))
    await expect(reader.decompress(randomBytes(600, generator(3)).fill(0xff, 0, 4), new Uint8Array(3000))).rejects.toEqual(io(reader))
  })

  it('does not expand more than it was asked for', async () => {
    const bomb = (await writer.compress(new Uint8Array(8 * 1024 * 1024).fill(5), 9 * 1024 * 1024))!
    const into = new Uint8Array(4096)
    if (reader.name === 'zlib') {
      await reader.decompress(bomb, into)
      expect(into.every((byte) => byte === 5)).toBe(true)
    } else {
      await expect(reader.decompress(bomb, into)).rejects.toEqual(io(reader))
    }
  })
})

describe('damaged data', () => {
  it('is judged alike by both inflaters', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    const random = generator(seed)
    for (let round = 0; round < 400; round++) {
      const cluster = sample(1 + Math.floor(random() * 3000), random)
      const packed = (await node.zlibRaw({ level: Math.floor(random() * 10), windowBits: 9 + Math.floor(random() * 7) }).compress(cluster, CLUSTER))!
      const bad = concat(packed, new Uint8Array(Math.floor(random() * 3)))
      for (let i = 0; i < 2; i++) bad[Math.floor(random() * bad.length)] = Math.floor(random() * 256)
      const length = 1 + Math.floor(random() * cluster.length)
      const [ours, hosts] = [new Uint8Array(length), new Uint8Array(length)]
      const [a, b] = await Promise.allSettled([browser.zlibRaw().decompress(bad, ours), node.zlibRaw().decompress(bad, hosts)])
      const note = `seed ${seed} round ${round}`
      expect(a.status, note).toBe(b.status)
      if (a.status === 'fulfilled') expect(Buffer.compare(ours, hosts), note).toBe(0)
    }
  })
})

describe('zstd frames', () => {
  it('follow each other, with skippable ones between', async () => {
    const [a, b] = await Promise.all([text(1000), text(500)].map((part) => node.zstd().compress(part, CLUSTER)))
    const skippable = Uint8Array.of(0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9)
    const into = new Uint8Array(1500)
    await node.zstd().decompress(concat(skippable, a!, skippable, b!, Uint8Array.of(1, 2)), into)
    expect(into).toEqual(concat(text(1000), text(500)))
  })

  it('may not come in thousands', async () => {
    const one = (await node.zstd().compress(Uint8Array.of(1), 100))!
    await expect(node.zstd().decompress(concat(...new Array(5000).fill(one)), new Uint8Array(CLUSTER))).rejects.toThrow('more than 64 frames')
  })

  it('may not ask for a window of gigabytes', async () => {
    // Window_Descriptor 0xa0: 2^30 bytes; one raw block of one byte.
    const greedy = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 0x09, 0, 0, 7)
    await expect(node.zstd().decompress(greedy, new Uint8Array(1))).rejects.toThrow('needs a window of 1073741824 bytes')
  })

  it('with run-length and raw blocks are measured right', async () => {
    // Window 1 KiB; an RLE block of 300 bytes, then a last raw block of two.
    const frame = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00, 0x62, 0x09, 0x00, 0x41, 0x11, 0x00, 0x00, 0x42, 0x43)
    const into = new Uint8Array(302)
    await node.zstd().decompress(concat(frame, new Uint8Array(100)), into)
    expect(new TextDecoder().decode(into)).toBe('A'.repeat(300) + 'BC')
  })
})

describe('options', () => {
  it.each([{ level: 10 }, { level: -2 }, { level: 1.5 }, { windowBits: 8 }, { windowBits: 16 }])('zlibRaw refuses %o', (options) => {
    for (const host of [node, browser]) expect(() => host.zlibRaw(options)).toThrow(expect.objectContaining({ code: 'invalid', message: expect.stringContaining(Object.keys(options)[0]!) }))
  })

  it('zstd refuses a level of 23', () => {
    for (const host of [node, browser]) expect(() => host.zstd({ level: 23 })).toThrow(expect.objectContaining({ code: 'invalid' }))
  })

  it('a browser says what it cannot do', async () => {
    const bytes = new Uint8Array(512)
    const unsupported = expect.objectContaining({ code: 'unsupported', errno: 'ENOTSUP' })
    await expect(browser.zlibRaw().compress(bytes, 512)).rejects.toEqual(unsupported)
    await expect(browser.zlibRaw({ windowBits: 15, level: 1 }).compress(bytes, 512)).rejects.toEqual(unsupported)
    await expect(browser.zstd().compress(bytes, 512)).rejects.toEqual(unsupported)
    await expect(browser.zstd().decompress(bytes, bytes)).rejects.toEqual(unsupported)
  })

  it('the window bounds how far back matches reach', async () => {
    // 8 KiB of noise twice: only a window above 8 KiB sees the repetition.
    const noise = randomBytes(8192, generator(5))
    const twice = concat(noise, noise)
    expect((await node.zlibRaw({ windowBits: 15 }).compress(twice, 20_000))!.length).toBeLessThan(10_000)
    expect((await node.zlibRaw().compress(twice, 20_000))!.length).toBeGreaterThan(16_000)
  })
})
