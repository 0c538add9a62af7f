import { writeFileSync } from 'node:fs'
import { oracleAvailable, withTempFolder } from '@blockloom/oracle'
import { expect, test, vi } from 'vitest'
import { createLuks, luksPayloadOffset, openLuks } from '../../src/index.ts'
import { MemoryIo, now, text } from './memory-io.ts'
import { pattern, qemuReadLuks } from './reference.ts'

// What a browser gets.
vi.mock('@blockloom/block-crypto/ciphers', () => import('../../src/ciphers/ciphers.browser.ts'))

for (const options of [{}, { cipherAlg: 'aes-128', cipherMode: 'cbc', ivgenAlg: 'essiv', hashAlg: 'sha512' }] as const) {
  const make = async (content: Uint8Array): Promise<MemoryIo> => {
    const io = new MemoryIo(luksPayloadOffset(options) + content.length)
    const { cipher, header } = await createLuks({ io, passphrase: text('pw'), options: { ...options, iterTime: 0 }, now })
    io.disk.set(content, header.payloadOffset)
    cipher.encryptSectors(io.disk.subarray(header.payloadOffset), 0)
    return io
  }

  test(`a volume without Node's crypto: ${JSON.stringify(options)}`, async () => {
    const content = pattern(16 * 1024)
    const io = await make(content)
    const { cipher, header } = await openLuks(io, text('pw'))
    const payload = io.disk.subarray(header.payloadOffset)
    cipher.decryptSectors(payload, 0)
    expect(Buffer.compare(payload, content)).toBe(0)
    await expect(openLuks(io, text('PW'))).rejects.toThrow('Invalid password')
  })

  test.runIf(oracleAvailable())(`qemu-img reads it: ${JSON.stringify(options)}`, () =>
    withTempFolder(async (folder) => {
      const content = pattern(16 * 1024)
      const { disk } = await make(content)
      writeFileSync(`${folder}/a.luks`, disk)
      expect(Buffer.compare(qemuReadLuks(folder, 'pw', `${folder}/a.luks`), content)).toBe(0)
    }))
}

test('a hash that WebCrypto lacks is refused by name', async () => {
  const io = new MemoryIo(luksPayloadOffset())
  await expect(createLuks({ io, passphrase: text('pw'), options: { hashAlg: 'ripemd160', iterTime: 0 }, now })).rejects.toMatchObject({ code: 'unsupported' })
})
