import { SeededRandom } from '@blockloom/oracle'
import { describe, expect, test } from 'vitest'
import * as portable from '../../src/ciphers/ciphers.browser.ts'
import * as node from '../../src/ciphers/ciphers.node.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const unhex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))
const text = (value: string): Uint8Array => new TextEncoder().encode(value)

describe.each([['node', node], ['portable', portable]] as const)('%s ciphers', (_, ciphers) => {
  // FIPS 197, appendix C.
  test.each([
    ['000102030405060708090a0b0c0d0e0f', '69c4e0d86a7b0430d8cdb78070b4c55a'],
    ['000102030405060708090a0b0c0d0e0f1011121314151617', 'dda97ca4864cdfe06eaf70a0ec0d7191'],
    ['000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', '8ea2b7ca516745bfeafc49904b496089'],
  ])('AES of FIPS 197 with key %s', (key, expected) => {
    const aes = ciphers.aesBlocks(unhex(key))
    const plain = unhex('00112233445566778899aabbccddeeff')
    expect(hex(aes.encrypt(plain))).toBe(expected)
    expect(hex(aes.decrypt(unhex(expected)))).toBe(hex(plain))
  })

  test('a key may be wiped after use, a Buffer too', () => {
    const key = Buffer.alloc(32, 7)
    const aes = ciphers.aesBlocks(key)
    key.fill(0)
    expect(hex(aes.encrypt(new Uint8Array(16)))).toBe(hex(node.aesBlocks(new Uint8Array(32).fill(7)).encrypt(new Uint8Array(16))))
  })

  test('refuses other keys and parts of blocks, and stays usable', () => {
    expect(() => ciphers.aesBlocks(new Uint8Array(17))).toThrow('16, 24 or 32 bytes')
    const aes = ciphers.aesBlocks(new Uint8Array(16))
    const before = hex(aes.encrypt(new Uint8Array(16)))
    expect(() => aes.encrypt(new Uint8Array(15))).toThrow('multiples of 16 bytes')
    expect(hex(aes.encrypt(new Uint8Array(16)))).toBe(before)
  })

  test('SHA and PBKDF2 (RFC 6070)', async () => {
    expect(hex(await ciphers.digest('sha256', text('abc')))).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
    expect(hex(await ciphers.pbkdf2('sha1', text('password'), text('salt'), 4096, 20))).toBe('4b007901b765489abead49d926f721d065a429c1')
  })
})

test('portable AES agrees with the host', () => {
  const random = new SeededRandom()
  const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => random.below(256))
  for (let round = 0; round < 60; round++) {
    const key = bytes([16, 24, 32][round % 3]!)
    const data = bytes(16 * (1 + random.below(64)))
    expect(hex(portable.aesBlocks(key).encrypt(data)), `seed ${random.seed}`).toBe(hex(node.aesBlocks(key).encrypt(data)))
    expect(hex(portable.aesBlocks(key).decrypt(data)), `seed ${random.seed}`).toBe(hex(node.aesBlocks(key).decrypt(data)))
  }
})

test('without Node, what WebCrypto lacks is refused by name', async () => {
  expect(() => portable.digest('ripemd160', new Uint8Array())).toThrow("Hash algorithm 'ripemd160' is not available on this host")
  await expect(portable.pbkdf2('sha224', new Uint8Array(), new Uint8Array(8), 1, 16)).rejects.toMatchObject({ code: 'unsupported' })
})
