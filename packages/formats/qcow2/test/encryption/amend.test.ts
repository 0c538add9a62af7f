import { luksInfo, readLuksHeader } from '@blockloom/block-crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { amendEncryption } from '../../src/encryption/amend-encryption.ts'
import type { EncryptAmendOptions } from '../../src/encryption/options.ts'
import { openImage } from '../../src/open.ts'
import { openWriter } from '../../src/open-writer.ts'
import { SnapshotStore } from '../../src/snapshot-store.ts'
import { createInMemory } from '../harness/create.ts'
import { MemoryChild } from '../harness/memory-child.ts'
import { contextOf, readAll } from '../harness/open.ts'
import { haveReference, Reference } from '../harness/reference.ts'
import { fill } from '../harness/workload.ts'
import { AES, createEncrypted, LUKS, openEncrypted, referenceAmend, referenceCheck, referenceRaw, SECRETS } from './encrypted-images.ts'

const SIZE = 64 * 1024

async function amend(file: MemoryChild, options: EncryptAmendOptions, how: { force?: boolean; secret?: string } = {}): Promise<boolean[]> {
  const context = contextOf({ file, options: { 'encrypt.key-secret': how.secret ?? 's' }, secrets: SECRETS, clock: { now: () => performance.now(), sleep: () => new Promise(() => {}) } })
  const image = await openImage(context, async () => {})
  const writer = await openWriter(image, new SnapshotStore([], 0))
  await amendEncryption(writer, options, how)
  const pointer = image.area.extensions.encryption!
  const header = await readLuksHeader({ read: (offset, into) => file.read(pointer.offset + offset, into) })
  expect(luksInfo(image.encryption!.header!)).toEqual(luksInfo(header))
  return header.keyslots.map(({ active }) => active)
}

const opensWith = async (file: MemoryChild, secret: string): Promise<boolean> => {
  try {
    await openEncrypted(new MemoryChild({ content: file.content }), { secret })
    return true
  } catch {
    return false
  }
}

describe('keyslots', () => {
  let file: MemoryChild
  beforeEach(async () => {
    file = await createEncrypted(SIZE, `${LUKS},encrypt.cipher-alg=aes-128`)
  })

  it('are added and erased; the data stays', async () => {
    const image = await openEncrypted(file)
    const data = fill(new Uint8Array(SIZE), 0, 1)
    await image.writer!.write(0, data, 0)
    await image.close()
    expect(await amend(file, { state: 'active', 'new-secret': 'other', 'iter-time': 0 })).toEqual([true, true, false, false, false, false, false, false])
    expect([await opensWith(file, 's'), await opensWith(file, 'other')]).toEqual([true, true])
    expect(await amend(file, { state: 'active', 'new-secret': 'other', keyslot: 7, 'iter-time': 0 }, { secret: 'other' })).toMatchObject([true, true, false, false, false, false, false, true])
    expect(await amend(file, { state: 'inactive', 'old-secret': 's' })).toMatchObject([false, true, false, false, false, false, false, true])
    expect([await opensWith(file, 's'), await opensWith(file, 'other')]).toEqual([false, true])
    expect(await amend(file, { state: 'inactive', keyslot: 1 }, { secret: 'other' })).toMatchObject([false, false, false, false, false, false, false, true])
    expect(Buffer.compare(await readAll(await openEncrypted(file, { secret: 'other' })), data)).toBe(0)
    expect(await amend(file, { state: 'inactive', keyslot: 7 }, { secret: 'other', force: true })).not.toContain(true)
  })

  it.each<readonly [EncryptAmendOptions, string]>([
    [{}, "Parameter 'state' is missing"],
    [{ 'new-secret': 'other' }, "Parameter 'state' is missing"],
    [{ state: 'gone' }, "Parameter 'state' does not accept value 'gone'"],
    [{ state: 'active' }, "'new-secret' is required to activate a keyslot"],
    [{ state: 'active', 'new-secret': 'other', 'old-secret': 's' }, "'old-secret' must not be given when activating keyslots"],
    [{ state: 'active', 'new-secret': 'x' }, "No secret with id 'x'"],
    [{ state: 'active', 'new-secret': 'other', keyslot: 8 }, 'Invalid keyslot 8 specified, must be between 0 and 7'],
    [{ state: 'active', 'new-secret': 'other', keyslot: 0 }, 'Refusing to overwrite active keyslot 0 - please erase it first'],
    [{ state: 'inactive' }, 'To erase keyslot(s), either explicit keyslot index or the password currently contained in them must be given'],
    [{ state: 'inactive', 'old-secret': 'other' }, 'No keyslots match given (old) password for erase operation'],
    [{ state: 'inactive', keyslot: 0 }, 'Attempt to erase the only active keyslot 0 which will erase all the data in the image irreversibly - refusing operation'],
  ])('refused: %j', async (options, message) => {
    const before = file.content.slice()
    await expect(amend(file, options)).rejects.toMatchObject({ name: 'BlockError', message })
    expect(Buffer.compare(file.content, before)).toBe(0)
  })

  it('are for LUKS only', async () => {
    const options = { state: 'active', 'new-secret': 'other' }
    await expect(amend(await createEncrypted(SIZE, AES), options)).rejects.toMatchObject({ message: 'Only LUKS encryption options can be amended' })
    await expect(amend(await createInMemory({ size: SIZE }), options)).rejects.toMatchObject({ message: "Can't amend encryption options - encryption not present" })
  })

  it('a crash while one is added or erased loses no other', async () => {
    await amend(file, { state: 'active', 'new-secret': 'other', 'iter-time': 0 })
    for (const [options, stays] of [
      [{ state: 'active', 'new-secret': 'wrong', 'iter-time': 0 }, ['s', 'other']],
      [{ state: 'inactive', 'old-secret': 'other' }, ['s']],
    ] as const) {
      const changing = new MemoryChild({ content: file.content })
      changing.recording = true
      await amend(changing, options)
      for (let cut = 0; cut <= changing.events.length; cut++) {
        const covered = Math.max(0, ...changing.events.slice(0, cut).map((event) => (event.op === 'flush' ? event.covers : 0)))
        for (const late of [false, true]) {
          const found = new MemoryChild({ content: file.content })
          for (const [index, event] of changing.events.slice(0, cut).entries()) {
            // What no flush covered is on the disk, or the last of it only.
            if (event.op === 'write' && (index < covered || !late || index === cut - 1)) await found.write(event.offset, event.bytes)
          }
          for (const secret of stays) expect(await opensWith(found, secret), `${options.state}, cut at ${cut}`).toBe(true)
        }
      }
    }
  })
})

describe.runIf(haveReference)('keyslots with the reference', () => {
  it('ours, and theirs beside it', { timeout: 60_000 }, async () => {
    using reference = new Reference()
    const file = await createEncrypted(SIZE, `${LUKS},encrypt.cipher-alg=aes-128`)
    await amend(file, { state: 'active', 'new-secret': 'other', 'iter-time': 0 })
    reference.save('k.qcow2', file)
    expect(referenceRaw(reference, 'k.qcow2', 'other')).toEqual(new Uint8Array(SIZE))
    referenceAmend(reference, 'k.qcow2', 'encrypt.state=active,encrypt.new-secret=wrong,encrypt.iter-time=1', 'other')
    referenceAmend(reference, 'k.qcow2', 'encrypt.state=inactive,encrypt.old-secret=s')
    const theirs = reference.load('k.qcow2')
    expect([await opensWith(theirs, 's'), await opensWith(theirs, 'other'), await opensWith(theirs, 'wrong')]).toEqual([false, true, true])
    expect(await amend(theirs, { state: 'inactive', 'old-secret': 'other' }, { secret: 'wrong' })).toEqual([false, false, true, false, false, false, false, false])
    reference.save('k.qcow2', theirs)
    expect(() => referenceRaw(reference, 'k.qcow2', 'other')).toThrow('Invalid password, cannot unlock any keyslot')
    expect(referenceRaw(reference, 'k.qcow2', 'wrong')).toEqual(new Uint8Array(SIZE))
    expect(() => referenceCheck(reference, 'k.qcow2')).toThrow('Invalid password')
  })
})
