import { readFileSync, writeFileSync } from 'node:fs'
import { oracleAvailable, withTempFolder } from '@blockloom/oracle'
import { describe, expect, test } from 'vitest'
import { type LuksCreateOptions, amendLuks, createLuks, luksInfo, luksPayloadOffset, openLuks, qcowAesCipher } from '../../src/index.ts'
import { MemoryIo, now, text } from './memory-io.ts'
import { pattern, qemuCrypto, qemuLuks, qemuLuksInfo, qemuQcow2, qemuReadLuks, qemuWriteLuks } from './reference.ts'

const MATRIX: readonly LuksCreateOptions[] = [
  {},
  { cipherAlg: 'aes-128' },
  { cipherAlg: 'aes-192', hashAlg: 'sha1' },
  { cipherMode: 'cbc', ivgenAlg: 'essiv' },
  { cipherMode: 'cbc', ivgenAlg: 'essiv', ivgenHashAlg: 'md5', hashAlg: 'md5' },
  { cipherMode: 'cbc', ivgenAlg: 'plain', cipherAlg: 'aes-128', hashAlg: 'sha512' },
  { cipherMode: 'cbc', ivgenAlg: 'plain64', hashAlg: 'ripemd160' },
  { cipherMode: 'xts', ivgenAlg: 'essiv', ivgenHashAlg: 'sha256', hashAlg: 'sha384' },
  { cipherMode: 'ecb', hashAlg: 'sha224' },
  { ivgenAlg: 'plain', ivgenHashAlg: 'sha1' },
]

const NAMES = { cipherAlg: 'cipher-alg', cipherMode: 'cipher-mode', ivgenAlg: 'ivgen-alg', ivgenHashAlg: 'ivgen-hash-alg', hashAlg: 'hash-alg' } as const

function qemuOptions(options: LuksCreateOptions): string {
  return Object.entries(NAMES)
    .filter(([key]) => options[key as keyof typeof NAMES] !== undefined)
    .map(([key, name]) => `${name}=${options[key as keyof typeof NAMES]}`)
    .join(',')
}

describe.runIf(oracleAvailable())('LUKS against the reference', () => {
  // Making a volume takes the reference tool seconds: it measures PBKDF2 twice, whatever iter-time says. So most of the
  // matrix goes the other way round, and this one and qcow2's are different.
  test('opens what qemu-img makes', () =>
    withTempFolder(async (folder) => {
      const content = pattern(96 * 1024)
      const image = qemuLuks(folder, 'sesam', content)
      const disk = new Uint8Array(readFileSync(image))
      const volume = await openLuks(new MemoryIo(disk), text('sesam'))
      expect(volume.header.payloadOffset).toBe(luksPayloadOffset())
      expect(luksInfo(volume.header)).toEqual(qemuLuksInfo('sesam', image))
      const payload = disk.slice(volume.header.payloadOffset)
      volume.cipher.decryptSectors(payload, 0)
      expect(Buffer.compare(payload, content)).toBe(0)
      await expect(openLuks(new MemoryIo(disk), text('Sesam'))).rejects.toMatchObject({ code: 'denied', message: 'Invalid password, cannot unlock any keyslot' })
    }))

  for (const options of MATRIX) {
    test(`qemu-img reads and writes volumes that we make: ${qemuOptions(options) || 'defaults'}`, () =>
      withTempFolder(async (folder) => {
        const content = pattern(96 * 1024)
        const io = new MemoryIo(luksPayloadOffset(options) + content.length)
        const { cipher, header } = await createLuks({ io, passphrase: text('äöü'), options: { ...options, iterTime: 10 }, now })
        io.disk.set(content, header.payloadOffset)
        cipher.encryptSectors(io.disk.subarray(header.payloadOffset), 0)
        const image = `${folder}/ours.luks`
        writeFileSync(image, io.disk)
        expect(qemuLuksInfo('äöü', image)).toEqual(luksInfo(header))
        expect(Buffer.compare(qemuReadLuks(folder, 'äöü', image), content)).toBe(0)
        expect(() => qemuReadLuks(folder, 'wrong', image)).toThrow('Invalid password, cannot unlock any keyslot')

        const other = pattern(2 * content.length).slice(content.length)
        qemuWriteLuks(folder, 'äöü', image, other)
        const payload = new Uint8Array(readFileSync(image)).subarray(header.payloadOffset)
        cipher.decryptSectors(payload, 0)
        expect(Buffer.compare(payload, other)).toBe(0)
      }))
  }

  test('slots that we add open in qemu-img, slots that we erase do not, and the other way round', () =>
    withTempFolder(async (folder) => {
      const content = pattern(64 * 1024)
      const image = `${folder}/ours.luks`
      const io = new MemoryIo(luksPayloadOffset() + content.length)
      const { cipher, header } = await createLuks({ io, passphrase: text('first'), options: { iterTime: 10 }, now })
      io.disk.set(content, header.payloadOffset)
      cipher.encryptSectors(io.disk.subarray(header.payloadOffset), 0)
      await amendLuks({ io, passphrase: text('first'), options: { state: 'active', newSecret: text('second'), keyslot: 5, iterTime: 10 }, now })
      writeFileSync(image, io.disk)
      expect(Buffer.compare(qemuReadLuks(folder, 'second', image), content)).toBe(0)
      expect(Buffer.compare(qemuReadLuks(folder, 'first', image), content)).toBe(0)

      await amendLuks({ io, passphrase: text('first'), options: { state: 'inactive', oldSecret: text('first') }, now })
      writeFileSync(image, io.disk)
      expect(() => qemuReadLuks(folder, 'first', image)).toThrow('Invalid password')
      expect(Buffer.compare(qemuReadLuks(folder, 'second', image), content)).toBe(0)

      const secrets = ['--object', 'secret,id=s,data=second', '--object', 'secret,id=n,data=third']
      qemuCrypto('amend', ...secrets, '-o', 'state=active,new-secret=n,keyslot=2,iter-time=10', '--image-opts', `driver=luks,key-secret=s,file.filename=${image}`)
      const amended = await openLuks(new MemoryIo(new Uint8Array(readFileSync(image))), text('third'))
      expect(amended.keyslot).toBe(2)
    }))

  test('the header inside a qcow2 image, whose sectors count from the start of the file', () =>
    withTempFolder(async (folder) => {
      const content = pattern(64 * 1024)
      const file = qemuQcow2(folder, 'sesam', 'luks', content, 'cipher-alg=aes-128', 'cipher-mode=cbc', 'ivgen-alg=essiv', 'hash-alg=sha1', 'iter-time=10')
      const view = new DataView(file.buffer)
      // The header extension 0x0537be77: offset and length of the LUKS header (qcow2 specification, "Full disk encryption").
      let at = 104
      while (view.getUint32(at) !== 0x0537be77) at += 8 + Math.ceil(view.getUint32(at + 4) / 8) * 8
      const { cipher, header } = await openLuks(new MemoryIo(file.slice(Number(view.getBigUint64(at + 8)))), text('sesam'))
      expect(header.encryption).toEqual({ cipherAlg: 'aes-128', cipherMode: 'cbc', ivgenAlg: 'essiv', ivgenHashAlg: 'sha256', hashAlg: 'sha1' })
      const cluster = clusterOffset(file, 0)
      const data = file.slice(cluster, cluster + 65536)
      cipher.decryptSectors(data, cluster / 512)
      expect(Buffer.compare(data, content)).toBe(0)
    }))

  test('the old AES of qcow2, whose sectors count from the start of the disk', () =>
    withTempFolder(async (folder) => {
      const content = pattern(128 * 1024)
      const file = qemuQcow2(folder, 'sesam', 'aes', content)
      const cluster = clusterOffset(file, 1)
      const data = file.slice(cluster, cluster + 65536)
      qcowAesCipher(text('sesam')).decryptSectors(data, 65536 / 512)
      expect(Buffer.compare(data, content.subarray(65536))).toBe(0)
    }))
})

/** Where a cluster of 64 KiB lies (qcow2 specification, "Cluster mapping"). */
function clusterOffset(file: Uint8Array, index: number): number {
  const view = new DataView(file.buffer)
  const entry = (at: number): number => Number(view.getBigUint64(at) & 0x00ff_ffff_ffff_fe00n)
  return entry(entry(entry(40)) + index * 8)
}
