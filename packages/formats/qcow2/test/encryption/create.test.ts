import { afterAll, describe, expect, it } from 'vitest'
import { createQcow2 } from '../../src/create.ts'
import { decodeHeaderArea } from '../../src/on-disk/header-area.ts'
import { createContext, optionsOf } from '../harness/create.ts'
import { MemoryChild } from '../harness/memory-child.ts'
import { readAll } from '../harness/open.ts'
import { haveReference, Reference } from '../harness/reference.ts'
import { AES, createEncrypted, LUKS, openEncrypted, PASSPHRASE, referenceCheck, referenceRaw } from './encrypted-images.ts'

const SIZE = 1024 * 1024

describe('options of a new encrypted image', () => {
  it.each([
    ['encryption=on', "Parameter 'encrypt.key-secret' is required for cipher"],
    ['encrypt.format=luks', "Parameter 'encrypt.key-secret' is required for cipher"],
    ['encrypt.format=rot13,encrypt.key-secret=s', "Parameter 'format' does not accept value 'rot13'"],
    ['encrypt.key-secret=s', "Parameter 'encrypt.format' is missing"],
    ['encryption=off,encrypt.key-secret=s', "Parameter 'encrypt.format' is missing"],
    ['encryption=on,encrypt.format=aes,encrypt.key-secret=s', "'encrypt.format' and its alias 'encryption' can't be used at the same time"],
    [`${AES},encrypt.cipher-alg=aes-128`, "Parameter 'encrypt.cipher-alg' is unexpected"],
    [`${AES},encrypt.iter-time=1`, "Parameter 'encrypt.iter-time' is unexpected"],
    ['encrypt.format=aes,encrypt.key-secret=x', "No secret with id 'x'"],
    ['encrypt.format=luks,encrypt.key-secret=x', "No secret with id 'x'"],
    [`${LUKS},encrypt.cipher-alg=rot-13`, "Parameter 'cipher-alg' does not accept value 'rot-13'"],
    [`${LUKS},encrypt.cipher-mode=rot`, "Parameter 'cipher-mode' does not accept value 'rot'"],
    [`${LUKS},encrypt.ivgen-alg=rot`, "Parameter 'ivgen-alg' does not accept value 'rot'"],
    [`${LUKS},encrypt.hash-alg=rot`, "Parameter 'hash-alg' does not accept value 'rot'"],
    [`${LUKS},encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=sha1`, 'No AES cipher with key size 20 available'],
    [`${LUKS},encrypt.iter-time=x`, "Parameter 'encrypt.iter-time' expects a number"],
  ])('%s: refused before anything is written', async (options, message) => {
    const file = new MemoryChild({ content: new Uint8Array(1000).fill(1) })
    const making = (async () => createQcow2(createContext(file, { ...optionsOf(options), size: SIZE }, undefined, { s: PASSPHRASE })))()
    await expect(making).rejects.toMatchObject({ name: 'BlockError', message })
    expect(file.content.every((byte) => byte === 1)).toBe(true)
  })

  it('QAPI says qcow for the old AES; off is none', async () => {
    const file = await createEncrypted(SIZE, 'encrypt.format=qcow,encrypt.key-secret=s')
    expect(decodeHeaderArea(file.content).header.encryption).toBe('aes')
    expect(decodeHeaderArea((await createEncrypted(SIZE, 'encryption=off')).content).header.encryption).toBe('none')
  })

  it('may be nested', async () => {
    const file = new MemoryChild()
    await createQcow2(createContext(file, { size: SIZE, encrypt: { format: 'aes', 'key-secret': 's' } }, undefined, { s: PASSPHRASE }))
    expect(decodeHeaderArea(file.content).header.encryption).toBe('aes')
  })
})

describe('a new encrypted image', () => {
  const PREALLOCATED = [
    `${LUKS},preallocation=metadata`,
    `${LUKS},preallocation=metadata,extended_l2=on`,
    `${LUKS},preallocation=full,cluster_size=4k`,
    `${AES},preallocation=falloc`,
    `${AES},preallocation=metadata,compat=0.10`,
    `${AES},preallocation=full,compat=0.10,cluster_size=4k`,
    `${AES},preallocation=metadata,data_file=d.img`,
    `${AES},data_file=d.img,data_file_raw=on`,
  ]

  it.each(PREALLOCATED)('reads as zeroes: %s', async (options) => {
    const files = new Map<string, MemoryChild>()
    const file = await createEncrypted(SIZE, options, files)
    const dataFile = files.get('d.img')
    const image = await openEncrypted(file, dataFile && { dataFile })
    expect(Buffer.compare(await readAll(image), new Uint8Array(SIZE))).toBe(0)
    const model = new Uint8Array(SIZE)
    await image.writer!.write(70_144, new Uint8Array(1024).fill(3), 0)
    model.fill(3, 70_144, 71_168)
    expect(Buffer.compare(await readAll(image), model)).toBe(0)
    await image.resize!.resize(SIZE + 70_144, { preallocation: 'metadata', zeroFill: false })
    expect(Buffer.compare(await readAll(image), new Uint8Array(SIZE + 70_144).fill(3, 70_144, 71_168))).toBe(0)
    expect(await image.check!.check({ fix: 'none', report: () => {} })).toMatchObject({ corruptions: 0, leaks: 0 })
  })

  it('over a device that is not empty', async () => {
    class Device extends MemoryChild {
      override readonly zeroInit = false
    }
    const file = new Device({ content: new Uint8Array(8 * SIZE).fill(0xaa) })
    await createQcow2(createContext(file, { ...optionsOf(`${LUKS},preallocation=metadata`), size: SIZE }, undefined, { s: PASSPHRASE }))
    const { encryption } = decodeHeaderArea(file.content).extensions
    // Between the keyslots, and behind the last one.
    expect(file.content.subarray(encryption!.offset + 592, encryption!.offset + 4096).every((byte) => byte === 0)).toBe(true)
    expect(file.content.subarray(encryption!.offset + 4096 + 256_512, encryption!.offset + encryption!.length).every((byte) => byte === 0)).toBe(true)
    expect(Buffer.compare(await readAll(await openEncrypted(file)), new Uint8Array(SIZE))).toBe(0)
  })
})

describe.runIf(haveReference)('preallocated images with the reference', () => {
  const reference = new Reference()
  afterAll(() => reference[Symbol.dispose]())

  it.each([`${LUKS},preallocation=metadata`, `${LUKS},preallocation=falloc,extended_l2=on`, `${AES},preallocation=metadata,compat=0.10`])('%s', async (options) => {
    const file = await createEncrypted(SIZE, options)
    const image = await openEncrypted(file)
    await image.resize!.resize(SIZE * 2, { preallocation: 'metadata', zeroFill: false })
    await image.close()
    reference.save('p.qcow2', file)
    referenceCheck(reference, 'p.qcow2')
    expect(Buffer.compare(referenceRaw(reference, 'p.qcow2'), new Uint8Array(SIZE * 2))).toBe(0)
  })
})
