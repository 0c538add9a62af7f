import { createCipheriv, createHash } from 'node:crypto'
import { SeededRandom } from '@blockloom/oracle'
import { describe, expect, test } from 'vitest'
import { type IvGeneratorName, type SectorCipherInit, createSectorCipher, qcowAesCipher } from '../../src/index.ts'

/** One cipher object of the host per sector: slow, and plainly right. */
function reference({ mode, key, ivGenerator, ivHash = 'sha256', sectorSize = 512 }: SectorCipherInit, plain: Uint8Array, firstSector: number): Uint8Array {
  const parts: Uint8Array[] = []
  for (let at = 0; at < plain.length; at += sectorSize) {
    const bits = (mode === 'xts' ? key.length / 2 : key.length) * 8
    const name = `aes-${bits}-${mode}`
    const cipher = createCipheriv(name, key, mode === 'ecb' ? null : vector(ivGenerator, ivHash, key, firstSector + at / sectorSize)).setAutoPadding(false)
    parts.push(cipher.update(plain.subarray(at, at + sectorSize)))
  }
  return new Uint8Array(Buffer.concat(parts))
}

function vector(kind: IvGeneratorName, hash: string, key: Uint8Array, sector: number): Uint8Array {
  const iv = Buffer.alloc(16)
  iv.writeBigUInt64LE(kind === 'plain' ? BigInt.asUintN(32, BigInt(sector)) : BigInt(sector))
  if (kind !== 'essiv') return iv
  const hashed = createHash(hash).update(key).digest()
  return createCipheriv(`aes-${hashed.length * 8}-ecb`, hashed, null).setAutoPadding(false).update(iv)
}

const random = new SeededRandom()
const bytes = (length: number): Uint8Array => random.bytes(length)

describe.each(['plain', 'plain64', 'essiv'] as const)('IVs of %s', (ivGenerator) => {
  test.each([
    ['xts', 32],
    ['xts', 64],
    ['cbc', 16],
    ['cbc', 24],
    ['cbc', 32],
    ['ecb', 32],
  ] as const)('%s with a key of %i bytes is what the host makes sector by sector', async (mode, keyBytes) => {
    for (const [sectorSize, sectors, firstSector] of [
      [512, 1, 0],
      [512, 3, 0xffff_fffe],
      [512, 300, 2 ** 40 + 5],
      [4096, 19, 7],
      [16, 5, 1],
      [65536, 2, 3],
    ] as const) {
      const init: SectorCipherInit = { mode, key: bytes(keyBytes), ivGenerator, sectorSize }
      const cipher = await createSectorCipher(init)
      const plain = bytes(sectors * sectorSize)
      // At an odd place of a larger buffer, whose other bytes must stay.
      const buffer = new Uint8Array(plain.length + 6).fill(0xee)
      const part = buffer.subarray(3, 3 + plain.length)
      part.set(plain)
      cipher.encryptSectors(part, firstSector)
      expect(Buffer.compare(part, reference(init, plain, firstSector)), `seed ${random.seed}, ${sectors} sectors of ${sectorSize}`).toBe(0)
      cipher.decryptSectors(part, firstSector)
      expect(Buffer.compare(part, plain), `seed ${random.seed}`).toBe(0)
      expect([...buffer.subarray(0, 3), ...buffer.subarray(-3)]).toEqual([0xee, 0xee, 0xee, 0xee, 0xee, 0xee])
    }
  })
})

test('XTS of IEEE 1619, vector 2', async () => {
  const key = new Uint8Array(32).fill(0x11, 0, 16).fill(0x22, 16)
  const cipher = await createSectorCipher({ mode: 'xts', key, ivGenerator: 'plain64', sectorSize: 32 })
  const data = new Uint8Array(32).fill(0x44)
  cipher.encryptSectors(data, 0x3333333333)
  expect(Buffer.from(data).toString('hex')).toBe('c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0')
})

test('XTS with AES-192, which hosts lack, decrypts what it encrypts, and depends on both halves of the key', async () => {
  const key = bytes(48)
  const plain = bytes(2048)
  const cipher = await createSectorCipher({ mode: 'xts', key, ivGenerator: 'plain64' })
  const data = plain.slice()
  cipher.encryptSectors(data, 9)
  for (const changed of [0, 47]) {
    const other = await createSectorCipher({ mode: 'xts', key: key.with(changed, key[changed]! ^ 1), ivGenerator: 'plain64' })
    const wrong = data.slice()
    other.decryptSectors(wrong, 9)
    expect(Buffer.compare(wrong, plain)).not.toBe(0)
  }
  cipher.decryptSectors(data, 9)
  expect(Buffer.compare(data, plain)).toBe(0)
})

test('the old AES of qcow2: the passphrase is the key', () => {
  const plain = bytes(1024)
  for (const [passphrase, key] of [['pw', 'pw'.padEnd(16, '\0')], ['a passphrase of 24 bytes', 'a passphrase of ']] as const) {
    const data = plain.slice()
    qcowAesCipher(new TextEncoder().encode(passphrase)).encryptSectors(data, 77)
    const expected = reference({ mode: 'cbc', key: new TextEncoder().encode(key), ivGenerator: 'plain64' }, plain, 77)
    expect(Buffer.compare(data, expected)).toBe(0)
  }
})

test('refuses parts of sectors and numbers that are none, and changes nothing', async () => {
  const cipher = await createSectorCipher({ mode: 'xts', key: bytes(64), ivGenerator: 'plain64' })
  const data = new Uint8Array(513)
  expect(() => cipher.encryptSectors(data, 0)).toThrow('sectors of 512 bytes')
  for (const sector of [-1, 0.5, Number.NaN, Number.MAX_SAFE_INTEGER]) expect(() => cipher.encryptSectors(data.subarray(1), sector)).toThrow('safe integer')
  expect(data.every((byte) => byte === 0)).toBe(true)
})

test('refuses keys, hashes and sector sizes that do not fit', async () => {
  await expect(createSectorCipher({ mode: 'xts', key: bytes(33), ivGenerator: 'plain64' })).rejects.toMatchObject({ code: 'invalid', message: 'XTS cipher key length should be a multiple of 2' })
  await expect(createSectorCipher({ mode: 'cbc', key: bytes(64), ivGenerator: 'plain64' })).rejects.toMatchObject({ code: 'invalid' })
  await expect(createSectorCipher({ mode: 'cbc', key: bytes(32), ivGenerator: 'essiv', ivHash: 'sha1' })).rejects.toMatchObject({ code: 'unsupported', message: 'No AES cipher with key size 20 available' })
  for (const sectorSize of [0, 8, 520, 131072, 512.5]) await expect(createSectorCipher({ mode: 'cbc', key: bytes(32), ivGenerator: 'plain', sectorSize })).rejects.toMatchObject({ code: 'invalid' })
})
