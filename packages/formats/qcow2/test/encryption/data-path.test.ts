import { qcowAesCipher } from '@blockloom/block-crypto'
import { RequestFlag, type Instance } from '@blockloom/block-driver'
import { describe, expect, it } from 'vitest'
import { createInMemory } from '../harness/create.ts'
import { MemoryChild } from '../harness/memory-child.ts'
import { openQcow2, readAll } from '../harness/open.ts'
import { fill } from '../harness/workload.ts'
import { AES, createEncrypted, LUKS, openEncrypted, PASSPHRASE, SECRETS } from './encrypted-images.ts'

const KIB = 1024
const SIZE = 1024 * KIB
const TEXT = new TextEncoder().encode('Nobody but the guest may read this line, wherever it lies. ')

function lines(bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => TEXT[i % TEXT.length]!)
}

const has = (file: MemoryChild): boolean => Buffer.from(file.content).includes(Buffer.from(TEXT.subarray(0, 24)))

describe.each([[LUKS], [AES], [`${AES},compat=0.10,cluster_size=4k`], [`${LUKS},extended_l2=on`]])('data of an image with %s', (options) => {
  it('is never on the host, however it is written, and never changed in the caller’s buffer', async () => {
    const backing = new MemoryChild({ content: lines(SIZE) })
    const file = await createEncrypted(SIZE, `${options},backing_file=base,backing_fmt=raw`)
    const image = await openEncrypted(file, { backing })
    const data = lines(700 * KIB)
    const before = data.slice()
    // Allocating, over the same place, across clusters, and with the backing file's data around it.
    await image.writer!.write(0, data, 0)
    await image.writer!.write(4 * KIB, data.subarray(0, 300 * KIB), 0)
    await image.writer!.write(801 * KIB, data.subarray(0, 512), 0)
    await image.writer!.write(900 * KIB, data.subarray(0, 100 * KIB), 0)
    await image.snapshots!.create!({ name: 'x', dateSec: 1, dateNsec: 0, vmState: lines(5000) })
    await image.writer!.write(40 * KIB, data.subarray(0, 1 * KIB), 0)
    await image.close()
    expect(Buffer.compare(data, before)).toBe(0)
    expect(has(backing)).toBe(true)
    expect(has(file)).toBe(false)
    const again = await openEncrypted(file, { backing })
    const expected = lines(SIZE)
    expected.set(data)
    expected.set(data.subarray(0, 300 * KIB), 4 * KIB)
    expected.set(data.subarray(0, 512), 801 * KIB)
    expected.set(data.subarray(0, 100 * KIB), 900 * KIB)
    const active = expected.slice()
    active.set(data.subarray(0, KIB), 40 * KIB)
    expect(Buffer.compare(await readAll(again), active)).toBe(0)
    expect(Buffer.compare(await readAll(await again.snapshots!.openReadOnly('x')), expected)).toBe(0)
    // VM state is read at any offset.
    for (const [offset, bytes] of [[0, 5000], [1, 10], [511, 2], [4999, 1], [512, 512]] as const) {
      const into = new Uint8Array(bytes)
      await again.snapshots!.readVmState!('x', offset, into)
      expect(Buffer.compare(into, lines(5000).subarray(offset, offset + bytes))).toBe(0)
    }
  })

  it('is said to be encoded; requests are whole sectors; nothing is compressed', async () => {
    const file = await createEncrypted(SIZE, options)
    const image = await openEncrypted(file)
    await image.writer!.write(128 * KIB, new Uint8Array(128 * KIB).fill(1), 0)
    expect(await image.extents!(128 * KIB, SIZE - 128 * KIB)).toEqual({ kind: 'encoded', bytes: 128 * KIB })
    expect(await image.zero!(128 * KIB, 64 * KIB, 0)).toBe('done')
    // Version 2 has no entries that say zero: the clusters are free.
    const kind = options.includes('compat=0.10') ? 'absent' : 'zero'
    expect(await image.extents!(128 * KIB, SIZE - 128 * KIB)).toEqual({ kind, bytes: 64 * KIB })
    // Over a place that is reserved for zeroes.
    await image.writer!.write(130 * KIB, lines(512), 0)
    const expected = new Uint8Array(64 * KIB)
    expected.set(lines(512), 2 * KIB)
    const found = new Uint8Array(64 * KIB)
    await image.read(128 * KIB, found, 0)
    expect(Buffer.compare(found, expected)).toBe(0)
    expect(await image.zero!(128 * KIB, 128 * KIB, RequestFlag.MAY_UNMAP)).toBe('done')
    expect((await image.extents!(128 * KIB, 64 * KIB)).kind).toBe(kind)
    expect(await image.extents!(0, 4 * KIB)).toMatchObject({ kind: 'absent' })
    expect(image.limits.requestAlignment).toBe(512)
    expect(image.compress).toBeUndefined()
  })

  it('survives many requests at once', async () => {
    const file = await createEncrypted(SIZE, options)
    const image = await openEncrypted(file)
    const model = new Uint8Array(SIZE)
    const request = async (i: number): Promise<void> => {
      const offset = i * 2560
      await image.writer!.write(offset, fill(model.subarray(offset, offset + 2048), offset, i), 0)
    }
    await Promise.all(Array.from({ length: 400 }, (_, i) => request(i)))
    expect(Buffer.compare(await readAll(image, 512 * 77), model)).toBe(0)
    await image.close()
    expect(Buffer.compare(await readAll(await openEncrypted(file)), model)).toBe(0)
  })

  it('a write that fails leaves what was there', async () => {
    const file = await createEncrypted(SIZE, options)
    const image = await openEncrypted(file)
    const model = fill(new Uint8Array(SIZE), 0, 2)
    await image.writer!.write(0, model, 0)
    await image.writer!.flush('stable')
    file.before = (op) => {
      if (op === 'write') throw new Error('the disk is on fire')
    }
    await expect(image.writer!.write(0, new Uint8Array(4096), 0)).rejects.toThrow('on fire')
    file.before = undefined
    expect(Buffer.compare(await readAll(image), model)).toBe(0)
  })
})

describe('long requests, which other threads encrypt', () => {
  it('many at once, over each other’s neighbours, with a snapshot in between', async () => {
    const size = 24 * 1024 * KIB
    const file = await createEncrypted(size, LUKS)
    const image = await openEncrypted(file)
    const model = new Uint8Array(size)
    const piece = 2 * 1024 * KIB
    for (let round = 0; round < 3; round++) {
      const shift = round * 512 * 77
      const offsets = Array.from({ length: 11 }, (_, i) => i * piece + shift)
      const data = offsets.map((offset) => fill(new Uint8Array(piece), offset, round + 1))
      await Promise.all(offsets.map((offset, i) => image.writer!.write(offset, data[i]!, 0)))
      for (const [i, offset] of offsets.entries()) {
        model.set(fill(new Uint8Array(piece), offset, round + 1), offset)
        expect(Buffer.compare(data[i]!, model.subarray(offset, offset + piece))).toBe(0)
      }
      if (round === 1) await image.snapshots!.create!({ name: 'x', dateSec: 1, dateNsec: 0 })
      expect(Buffer.compare(await readAll(image, 3 * 1024 * KIB), model)).toBe(0)
    }
    await image.close()
    expect(Buffer.compare(await readAll(await openEncrypted(file), 64 * KIB), model)).toBe(0)
  })

  it('that fail do not reach the disk later', async () => {
    const size = 16 * 1024 * KIB
    const file = await createEncrypted(size, LUKS)
    const image = await openEncrypted(file)
    const model = fill(new Uint8Array(size), 0, 4)
    await image.writer!.write(0, model, 0)
    let failing = true
    file.before = (op) => {
      if (op === 'write' && failing) throw new Error('the disk is on fire')
    }
    const data = new Uint8Array(1024 * KIB)
    const results = await Promise.allSettled(Array.from({ length: 16 }, (_, i) => image.writer!.write(i * data.length, data, 0)))
    expect(results.every(({ status }) => status === 'rejected')).toBe(true)
    failing = false
    expect(Buffer.compare(await readAll(image), model)).toBe(0)
    await image.writer!.write(0, data, 0)
    model.fill(0, 0, data.length)
    expect(Buffer.compare(await readAll(image), model)).toBe(0)
  })
})

describe('sectors of an encrypted image', () => {
  /** Where guest byte 0 is in the file. */
  async function hostOf(image: Instance, file: MemoryChild, options: string): Promise<number> {
    // A copy of the image that claims not to be encrypted says where its clusters are.
    const copy = new MemoryChild({ content: file.content })
    copy.content[35] = 0
    expect(options).toContain('aes')
    const found = await (await openQcow2({ file: copy })).extents!(64 * KIB, 512)
    await image.close()
    return found.kind === 'data' ? found.host!.offset : NaN
  }

  it('count from the start of the disk with the old AES', async () => {
    const file = await createEncrypted(SIZE, AES)
    const image = await openEncrypted(file)
    await image.writer!.write(64 * KIB, lines(512), 0)
    await image.writer!.flush('host')
    const host = await hostOf(image, file, AES)
    const sector = file.content.slice(host, host + 512)
    qcowAesCipher(new TextEncoder().encode(PASSPHRASE)).decryptSectors(sector, 128)
    expect(Buffer.compare(sector, lines(512))).toBe(0)
  })

  it('that are compressed are not encrypted, as the reference has it', async () => {
    // Made as an image that is not encrypted; then the header says that it is.
    const file = await createInMemory({ size: SIZE })
    const plain = await openQcow2({ file })
    await plain.compress!.write(0, lines(64 * KIB))
    await plain.close()
    file.content[35] = 1
    const into = new Uint8Array(64 * KIB)
    const image = await openEncrypted(file)
    await image.read(0, into, 0)
    expect(Buffer.compare(into, lines(64 * KIB))).toBe(0)
    // Written over, they are.
    await image.writer!.write(512, lines(512), 0)
    await image.close()
    expect(has(file)).toBe(false)
    const expected = lines(64 * KIB)
    expected.set(lines(512), 512)
    await (await openQcow2({ file, options: { 'encrypt.key-secret': 's' }, secrets: SECRETS })).read(0, into, 0)
    expect(Buffer.compare(into, expected)).toBe(0)
  })
})
