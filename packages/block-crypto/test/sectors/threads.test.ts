import { describe, expect, test } from 'vitest'
import { CipherPool } from '../../src/ciphers/cipher-pool.node.ts'
import { createSectorCipher } from '../../src/index.ts'

const KEY = Uint8Array.from({ length: 64 }, (_, i) => i * 7 + 1)
const MIB = 1024 * 1024

function pattern(bytes: number, seed = 1): Uint8Array {
  const words = new Uint32Array(bytes / 4)
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + seed, 0x9e3779b1)
  return new Uint8Array(words.buffer)
}

const here = (): never => {
  throw new Error('not on a thread')
}

describe.each(['xts', 'cbc', 'ecb'] as const)('%s from one buffer into another', (mode) => {
  test('is what it is in place, short and long, one and many at a time', async () => {
    const cipher = await createSectorCipher({ mode, key: mode === 'xts' ? KEY : KEY.subarray(0, 32), ivGenerator: 'plain64' })
    // Long requests, until threads do them.
    const lengths = [512, 4096, 128 * 1024, 3 * MIB, 3 * MIB, 3 * MIB, 256 * 1024 + 512, 2 * MIB - 512, 512, 200 * 512]
    const requests = lengths.map((length, i) => ({ from: pattern(length, i), into: new Uint8Array(length), sector: i * 5000 + 2 ** 33 }))
    for (let round = 0; round < 2; round++) {
      await Promise.all(requests.map(({ from, into, sector }) => cipher.encryptInto(from, into, sector)))
      for (const [i, { from, into, sector }] of requests.entries()) {
        const expected = pattern(from.length, i)
        expect(Buffer.compare(from, expected)).toBe(0)
        cipher.encryptSectors(expected, sector)
        expect(Buffer.compare(into, expected)).toBe(0)
      }
      await Promise.all(requests.map(({ into, sector }) => cipher.decryptInto(into, into, sector)))
      for (const { from, into } of requests) expect(Buffer.compare(into, from)).toBe(0)
    }
  })

  test('is checked', async () => {
    const cipher = await createSectorCipher({ mode, key: mode === 'xts' ? KEY : KEY.subarray(0, 32), ivGenerator: 'plain64' })
    await expect(cipher.encryptInto(new Uint8Array(100), new Uint8Array(100), 0)).rejects.toMatchObject({ code: 'invalid' })
    await expect(cipher.decryptInto(new Uint8Array(512), new Uint8Array(1024), 0)).rejects.toMatchObject({ code: 'invalid' })
    await expect(cipher.encryptInto(new Uint8Array(512), new Uint8Array(512), -1)).rejects.toMatchObject({ code: 'invalid' })
  })
})

describe('threads', () => {
  test('work for several ciphers, with sectors of other lengths', async () => {
    const pool = new CipherPool(2)
    for (const [sectorSize, ivGenerator, ivBits] of [[512, 'plain64', 64], [4096, 'plain', 32], [65536, 'plain64', 64], [16, 'plain64', 64]] as const) {
      const cipher = await createSectorCipher({ mode: 'xts', key: KEY, ivGenerator, sectorSize })
      const threads = pool.add({ key: KEY, ivBits, sectorSize })
      const data = pattern(MIB + 65536)
      const into = new Uint8Array(data.length)
      await threads.run(true, data, into, 2 ** 32 - 3, here)
      await threads.run(false, into, into, 2 ** 32 - 3, here)
      expect(Buffer.compare(into, data)).toBe(0)
      await threads.run(true, data, into, 2 ** 32 - 3, here)
      cipher.encryptSectors(data, 2 ** 32 - 3)
      expect(Buffer.compare(into, data)).toBe(0)
    }
    expect(pool.size).toBe(2)
  })

  test('that fail leave the work to the caller, each part once', async () => {
    const pool = new CipherPool(2)
    // A key that no thread can use.
    const broken = pool.add({ key: new Uint8Array(10), ivBits: 64, sectorSize: 512 })
    for (let round = 0; round < 2; round++) {
      const done = new Set<number>()
      const data = new Uint8Array(3 * MIB)
      await broken.run(true, data, data, 7, (from, into, sector) => {
        expect(from.length).toBe(into.length)
        for (let i = 0; i < from.length / 512; i++) {
          expect(done.has(sector + i)).toBe(false)
          done.add(sector + i)
        }
      })
      expect(done.size).toBe(data.length / 512)
    }
    expect(pool.size).toBe(0)
  })

  test('may be none', async () => {
    const threads = new CipherPool(0).add({ key: KEY, ivBits: 64, sectorSize: 512 })
    let asked = 0
    await threads.run(true, new Uint8Array(512), new Uint8Array(512), 3, (_from, _into, sector) => {
      asked++
      expect(sector).toBe(3)
    })
    expect(asked).toBe(1)
  })
})
