import { beforeEach, describe, expect, test } from 'vitest'
import { type LuksAmendOptions, type LuksHeader, amendLuks, createLuks, luksPayloadOffset, openLuks, readLuksHeader } from '../../src/index.ts'
import { MemoryIo, now, text } from './memory-io.ts'

const SMALL = { cipherAlg: 'aes-128', cipherMode: 'cbc', iterTime: 0 } as const
let io: MemoryIo

beforeEach(async () => {
  io = new MemoryIo(luksPayloadOffset(SMALL))
  await createLuks({ io, passphrase: text('one'), options: SMALL, now })
})

const amend = (options: LuksAmendOptions, force = false): Promise<LuksHeader> => amendLuks({ io, passphrase: text('one'), options, force, now })
const add = (secret: string, keyslot?: number): Promise<LuksHeader> => amend({ state: 'active', newSecret: text(secret), keyslot, iterTime: 0 })
const active = (header: LuksHeader): number[] => header.keyslots.flatMap((slot, index) => (slot.active ? [index] : []))
const slotOf = async (passphrase: string): Promise<number> => (await openLuks(io, text(passphrase))).keyslot

describe('adding', () => {
  test('takes the first free slot, or the one that is asked for', async () => {
    expect(active(await add('two'))).toEqual([0, 1])
    expect(active(await add('seven', 7))).toEqual([0, 1, 7])
    expect([await slotOf('one'), await slotOf('two'), await slotOf('seven')]).toEqual([0, 1, 7])
  })

  test('writes the material before the header that says it is there', async () => {
    io.log.length = 0
    await add('two', 1)
    expect(io.log).toEqual(['write 69632 64000', 'flush', 'write 0 592', 'flush'])
  })

  test('all data stays readable', async () => {
    const before = (await openLuks(io, text('one'))).cipher
    await add('two')
    const data = new Uint8Array(1024).fill(5)
    before.encryptSectors(data, 3)
    const after = (await openLuks(io, text('two'))).cipher
    after.decryptSectors(data, 3)
    expect(data.every((byte) => byte === 5)).toBe(true)
  })

  test('refuses, and changes nothing', async () => {
    for (let index = 1; index < 8; index++) await add(`number ${index}`)
    const before = io.disk.slice()
    await expect(add('nine')).rejects.toMatchObject({ code: 'busy', message: "Can't add a keyslot - all keyslots are in use" })
    await expect(add('again', 3)).rejects.toMatchObject({ code: 'busy', message: 'Refusing to overwrite active keyslot 3 - please erase it first' })
    await expect(add('beyond', 8)).rejects.toMatchObject({ code: 'invalid', message: 'Invalid keyslot 8 specified, must be between 0 and 7' })
    await expect(amend({ state: 'active' })).rejects.toThrow("'new-secret' is required to activate a keyslot")
    await expect(amend({ state: 'active', newSecret: text('x'), oldSecret: text('y') })).rejects.toThrow("'old-secret' must not be given when activating keyslots")
    await expect(amend({ state: 'active', newSecret: text('x'), iterTime: -1, keyslot: 3 }, true)).rejects.toThrow('iter-time')
    await expect(amendLuks({ io, passphrase: text('wrong'), options: { state: 'active', newSecret: text('x'), keyslot: 3 }, force: true, now })).rejects.toMatchObject({
      code: 'denied',
      message: 'Failed to retrieve the master key',
    })
    expect(Buffer.compare(io.disk, before)).toBe(0)
  })

  test('by force replaces a passphrase', async () => {
    await amend({ state: 'active', newSecret: text('changed'), keyslot: 0, iterTime: 0 }, true)
    expect(await slotOf('changed')).toBe(0)
    await expect(slotOf('one')).rejects.toThrow('Invalid password')
  })
})

describe('erasing', () => {
  test('by number: the passphrase is gone, and so is the material', async () => {
    const { keyOffset } = (await add('two')).keyslots[1]!
    const material = io.disk.slice(keyOffset, keyOffset + 64_000)
    io.log.length = 0
    expect(active(await amend({ state: 'inactive', keyslot: 1 }))).toEqual([0])
    expect(io.log).toEqual(['write 0 592', 'flush', `write ${keyOffset} 64000`, 'flush'])
    await expect(slotOf('two')).rejects.toThrow('Invalid password')
    const left = io.disk.subarray(keyOffset, keyOffset + 64_000)
    expect(left.filter((byte, index) => byte === material[index]).length).toBeLessThan(1000)
    expect((await readLuksHeader(io)).keyslots[1]).toMatchObject({ active: false, iterations: 0, stripes: 4000 })
  })

  test('by passphrase erases all slots that have it', async () => {
    await add('two')
    await add('same', 4)
    await add('same', 6)
    expect(active(await amend({ state: 'inactive', oldSecret: text('same') }))).toEqual([0, 1])
    expect(active(await amend({ state: 'inactive', oldSecret: text('two'), keyslot: 1 }))).toEqual([0])
  })

  test('refuses what would lose the data or makes no sense, and changes nothing', async () => {
    const before = io.disk.slice()
    const only = 'Attempt to erase the only active keyslot 0 which will erase all the data in the image irreversibly - refusing operation'
    await expect(amend({ state: 'inactive', keyslot: 0 })).rejects.toMatchObject({ code: 'denied', message: only })
    const all = 'All the active keyslots match the (old) password that was given and erasing them will erase all the data in the image irreversibly - refusing operation'
    await expect(amend({ state: 'inactive', oldSecret: text('one') })).rejects.toMatchObject({ code: 'denied', message: all })
    await expect(amend({ state: 'inactive', oldSecret: text('none') })).rejects.toThrow('No keyslots match given (old) password for erase operation')
    await expect(amend({ state: 'inactive', oldSecret: text('none'), keyslot: 0 })).rejects.toThrow("Given keyslot 0 doesn't contain the given old password for erase operation")
    await expect(amend({ state: 'inactive', keyslot: 5 })).rejects.toThrow('Given keyslot 5 is already erased (inactive) ')
    await expect(amend({ state: 'inactive', keyslot: -1 })).rejects.toThrow('Invalid keyslot -1 specified, must be between 0 and 7')
    await expect(amend({ state: 'inactive' })).rejects.toThrow('To erase keyslot(s), either explicit keyslot index or the password currently contained in them must be given')
    await expect(amend({ state: 'inactive', newSecret: text('x'), keyslot: 0 })).rejects.toThrow("'new-secret' must not be given when erasing keyslots")
    await expect(amend({ state: 'inactive', iterTime: 5, keyslot: 0 })).rejects.toThrow("'iter-time' must not be given when erasing keyslots")
    expect(Buffer.compare(io.disk, before)).toBe(0)
  })

  test('by force erases the last one', async () => {
    expect(active(await amend({ state: 'inactive', keyslot: 0 }, true))).toEqual([])
    await expect(slotOf('one')).rejects.toThrow('Invalid password')
  })
})
