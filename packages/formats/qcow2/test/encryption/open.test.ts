import { beforeAll, describe, expect, it } from 'vitest'
import { decodeHeaderArea } from '../../src/on-disk/header-area.ts'
import { createInMemory } from '../harness/create.ts'
import { MemoryChild } from '../harness/memory-child.ts'
import { openQcow2, readAll } from '../harness/open.ts'
import { AES, createEncrypted, LUKS, openEncrypted, SECRETS } from './encrypted-images.ts'

const SIZE = 256 * 1024
let luks: MemoryChild
let aes: MemoryChild
let plain: MemoryChild

const copyOf = (file: MemoryChild): MemoryChild => new MemoryChild({ content: file.content })
const bits = (secret: Uint8Array): string => new TextDecoder().decode(secret)

beforeAll(async () => {
  luks = await createEncrypted(SIZE, `${LUKS},encrypt.cipher-alg=aes-128`)
  aes = await createEncrypted(SIZE, AES)
  plain = await createInMemory({ size: SIZE })
})

describe('opening an encrypted image', () => {
  it.each([
    ['no secret', () => luks, {}, "Parameter 'encrypt.key-secret' is required for cipher", 'invalid'],
    ['no secret', () => aes, {}, "Parameter 'encrypt.key-secret' is required for cipher", 'invalid'],
    ['an unknown secret', () => luks, { 'encrypt.key-secret': 'x' }, "No secret with id 'x'", 'not-found'],
    ['an unknown secret', () => aes, { 'encrypt.key-secret': 'x' }, "No secret with id 'x'", 'not-found'],
    ['a wrong passphrase', () => luks, { 'encrypt.key-secret': 'wrong' }, 'Invalid password, cannot unlock any keyslot', 'denied'],
    ['another format', () => luks, { encrypt: { format: 'aes', 'key-secret': 's' } }, "Header reported 'luks' encryption format but options specify 'aes'", 'invalid'],
    ['another format', () => aes, { encrypt: { format: 'luks', 'key-secret': 's' } }, "Header reported 'aes' encryption format but options specify 'luks'", 'invalid'],
    ['a format without encryption', () => plain, { 'encrypt.format': 'luks' }, "No encryption in image header, but options specified format 'luks'", 'invalid'],
    ['what is no format', () => luks, { 'encrypt.format': 'rot13' }, "Parameter 'encrypt.format' does not accept value 'rot13'", 'invalid'],
    ['what is no option', () => luks, { 'encrypt.colour': 'red' }, "Invalid parameter 'encrypt.colour'", 'invalid'],
  ] as const)('is refused with %s', async (_what, file, options, message, code) => {
    for (const mode of [{ readOnly: true }, {}, { readOnly: true, forCheck: true }]) {
      await expect(openQcow2({ file: copyOf(file()), options, secrets: SECRETS, mode })).rejects.toMatchObject({ name: 'BlockError', message, code })
    }
  })

  it('is refused if the passphrase is no text', async () => {
    const secrets = new Map([['s', Uint8Array.of(0xff)]])
    const lookup = { get s() { return bits(secrets.get('s')!) + '\0' } }
    await expect(openQcow2({ file: copyOf(luks), options: { 'encrypt.key-secret': 's' }, secrets: lookup })).rejects.toMatchObject({ message: 'Data from secret s is not valid UTF-8' })
  })

  it('takes a key for an image that is not encrypted', async () => {
    const image = await openEncrypted(copyOf(plain))
    expect(image.limits.requestAlignment).toBe(1)
    expect(Buffer.compare(await readAll(image), new Uint8Array(SIZE))).toBe(0)
  })

  it('needs no key for what metadata says, and then neither reads nor writes', async () => {
    for (const [file, format] of [[luks, 'luks'], [aes, 'aes']] as const) {
      const copy = copyOf(file)
      const before = copy.content.slice()
      const image = await openQcow2({ file: copy, mode: { noIo: true, noBacking: true } })
      expect(await image.info!()).toMatchObject({ encrypted: true, 'format-specific': { data: { encrypt: { format } } } })
      expect(image.writer).toBeUndefined()
      expect(image.zero).toBeUndefined()
      expect(await image.size()).toBe(SIZE)
      await image.close()
      expect(Buffer.compare(copy.content, before)).toBe(0)
    }
    const written = copyOf(luks)
    const image = await openEncrypted(written)
    await image.writer!.write(0, new Uint8Array(4096).fill(1), 0)
    await image.close()
    const blind = await openQcow2({ file: written, mode: { noIo: true, readOnly: true } })
    await expect(blind.read(0, new Uint8Array(512), 0)).rejects.toMatchObject({ code: 'unsupported' })
  })

  it('a wrong key of the old AES shows something else', async () => {
    const file = copyOf(aes)
    const image = await openEncrypted(file)
    await image.writer!.write(0, new Uint8Array(4096).fill(1), 0)
    await image.close()
    const into = new Uint8Array(4096)
    await (await openEncrypted(file, { secret: 'wrong' })).read(0, into, 0)
    expect(into.every((byte) => byte === 1)).toBe(false)
  })
})

describe('a hostile encryption header', () => {
  const pointer = (): number => decodeHeaderArea(luks.content.slice(0, 65536)).extensions.encryption!.offset
  const at = (offset: number, change: (view: DataView) => void): MemoryChild => {
    const copy = copyOf(luks)
    change(new DataView(copy.content.buffer, copy.content.byteOffset + pointer() + offset))
    return copy
  }
  /** Where the extension's two numbers are in the first cluster. */
  const extension = (change: (view: DataView, at: number) => void): MemoryChild => {
    const copy = copyOf(luks)
    const view = new DataView(copy.content.buffer, copy.content.byteOffset)
    for (let i = 104; ; i += 8) {
      if (view.getUint32(i) !== 0x0537be77) continue
      change(view, i + 8)
      return copy
    }
  }

  it.each([
    ['no LUKS header at all', () => at(0, (view) => view.setUint32(0, 0)), 'Volume is not in LUKS format'],
    ['LUKS version 2', () => at(6, (view) => view.setUint16(0, 2)), 'LUKS version 2 is not supported'],
    ['the most iterations that there are', () => at(208 + 4, (view) => view.setUint32(0, 0xffff_ffff)), 'Keyslot 0 iteration count 4294967295 is larger than the limit of 134217728'],
    ['the most iterations for the master key', () => at(164, (view) => view.setUint32(0, 0xffff_ffff)), 'LUKS key iteration count 4294967295 is larger than the limit of 134217728'],
    ['a keyslot behind everything', () => at(208 + 40, (view) => view.setUint32(0, 0xffff_ffff)), 'Keyslot 0 is overlapping with the encrypted payload'],
    ['the most key bytes', () => at(108, (view) => view.setUint32(0, 0xffff_ffff)), "Algorithm 'aes' with key size 4294967295 bytes not supported"],
    ['an extension that is too short for its keyslots', () => extension((view, i) => view.setUint32(i + 12, 4096)), 'Request for data outside of extension header'],
    ['an extension of no length', () => extension((view, i) => view.setUint32(i + 12, 0)), 'Request for data outside of extension header'],
    ['a place behind the end of the file', () => extension((view, i) => view.setUint32(i + 4, 0x7000_0000)), 'Volume is not in LUKS format'],
    ['a place that is not aligned', () => extension((view, i) => view.setUint32(i + 4, 512)), "Encryption header offset '512' is not a multiple of cluster size '65536'"],
    ['a place beyond all files', () => extension((view, i) => view.setUint32(i, 0x7fff_ffff)), /encryption header offset/i],
    ['no extension', () => extension((view, i) => view.setUint32(i - 8, 0x1234_5678)), 'Missing CRYPTO header for crypt method 2'],
    ['the header of another image', () => extension((view, i) => view.setUint32(i + 4, 0)), 'Volume is not in LUKS format'],
  ] as const)('%s', async (_what, make, message) => {
    const file = make()
    await expect(openEncrypted(file)).rejects.toMatchObject({ name: 'BlockError', message: typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message) })
  })

  it('that claims to be very long costs the check nothing', async () => {
    const file = extension((view, i) => {
      view.setUint32(i + 8, 0x000f_0000)
      view.setUint32(i + 12, 0)
    })
    const image = await openEncrypted(file, { mode: { forCheck: true, readOnly: true } })
    expect(await image.check!.check({ fix: 'none', report: () => {} })).toMatchObject({ corruptions: 1 })
  })

  it('in an image without encryption', async () => {
    const file = copyOf(luks)
    file.content[35] = 0
    await expect(openEncrypted(file)).rejects.toMatchObject({ message: expect.stringContaining('CRYPTO header extension only expected with LUKS encryption method') })
  })

  it('whose payload would start elsewhere reads the same', async () => {
    // Sectors count from the start of the file, whatever the header says about its payload.
    const file = copyOf(luks)
    const image = await openEncrypted(file)
    await image.writer!.write(0, new Uint8Array(512).fill(5), 0)
    await image.close()
    new DataView(file.content.buffer, file.content.byteOffset + pointer()).setUint32(104, 0xffff)
    const into = new Uint8Array(512)
    await (await openEncrypted(file)).read(0, into, 0)
    expect(into.every((byte) => byte === 5)).toBe(true)
  })
})
