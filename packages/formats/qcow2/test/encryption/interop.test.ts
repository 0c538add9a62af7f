import type { Instance } from '@blockloom/block-driver'
import { afterAll, describe, expect, it } from 'vitest'
import { decodeHeaderArea } from '../../src/on-disk/header-area.ts'
import { MemoryChild } from '../harness/memory-child.ts'
import { readAll } from '../harness/open.ts'
import { haveReference, Reference } from '../harness/reference.ts'
import { fill } from '../harness/workload.ts'
import { AES, createEncrypted, LUKS, openEncrypted, referenceCheck, referenceCreate, referenceInfo, referenceIo, referenceRaw } from './encrypted-images.ts'

const KIB = 1024
const SIZE = 512 * KIB

const MATRIX: readonly string[] = [
  LUKS,
  `${LUKS},encrypt.cipher-alg=aes-128`,
  `${LUKS},encrypt.cipher-alg=aes-192,encrypt.hash-alg=sha1,cluster_size=4k`,
  `${LUKS},encrypt.cipher-mode=cbc,encrypt.ivgen-alg=essiv,compat=0.10`,
  `${LUKS},encrypt.cipher-mode=cbc,encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=md5,encrypt.hash-alg=md5`,
  `${LUKS},encrypt.cipher-mode=cbc,encrypt.ivgen-alg=plain,encrypt.cipher-alg=aes-128,encrypt.hash-alg=sha512,cluster_size=512`,
  `${LUKS},encrypt.cipher-mode=cbc,encrypt.ivgen-alg=plain64,encrypt.hash-alg=ripemd160`,
  `${LUKS},encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=sha256,encrypt.hash-alg=sha384,extended_l2=on`,
  `${LUKS},encrypt.cipher-mode=ecb,encrypt.hash-alg=sha224,cluster_size=2M`,
  `${LUKS},encrypt.ivgen-alg=plain,encrypt.ivgen-hash-alg=sha1,data_file=data.img`,
  AES,
  `${AES},compat=0.10,cluster_size=4k`,
  `${AES},extended_l2=on,cluster_size=16k`,
  `${AES},data_file=data.img`,
  'encryption=on,encrypt.key-secret=s',
]

/** Writes pieces of all kinds; returns what the disk reads as. */
async function writePieces(image: Instance, model: Uint8Array): Promise<void> {
  const pieces = [[0, 512], [3 * KIB, 70 * KIB], [100 * KIB, 4 * KIB], [200 * KIB + 512, 300 * KIB - 1024]] as const
  await Promise.all(
    pieces.map(async ([offset, bytes], i) => {
      const data = fill(model.subarray(offset, offset + bytes), offset, i + 1)
      await image.writer!.write(offset, data, 0)
    }),
  )
  await image.writer!.flush('stable')
}

describe.runIf(haveReference)('encryption with the reference', () => {
  const reference = new Reference()
  afterAll(() => reference[Symbol.dispose]())

  it.each(MATRIX)('ours: %s', async (options) => {
    const files = new Map<string, ReturnType<typeof reference.load>>()
    const file = await createEncrypted(SIZE, options, files)
    const dataFile = files.get('data.img')
    const save = (): void => {
      reference.save('ours.qcow2', file)
      if (dataFile !== undefined) reference.save('data.img', dataFile)
    }
    const model = new Uint8Array(SIZE)
    const image = await openEncrypted(file, dataFile && { dataFile })
    expect(Buffer.compare(await readAll(image), model)).toBe(0)
    await writePieces(image, model)
    expect(Buffer.compare(await readAll(image), model)).toBe(0)
    const info = await image.info!()
    await image.close()
    save()
    expect(referenceInfo(reference, 'ours.qcow2')).toMatchObject(info)
    expect(Buffer.compare(referenceRaw(reference, 'ours.qcow2'), model)).toBe(0)
    expect(() => referenceRaw(reference, 'ours.qcow2', 'missing')).toThrow("No secret with id 'missing'")

    referenceIo(reference, 'ours.qcow2', ['write -P 7 1k 9k', 'write -P 8 90k 30k'])
    referenceCheck(reference, 'ours.qcow2')
    model.fill(7, KIB, 10 * KIB)
    model.fill(8, 90 * KIB, 120 * KIB)
    const again = await openEncrypted(reference.load('ours.qcow2'), dataFile && { dataFile: reference.load('data.img') })
    expect(Buffer.compare(await readAll(again), model)).toBe(0)
    const { corruptions, leaks, checkErrors } = await again.check!.check({ fix: 'none', report: () => {} })
    expect({ corruptions, leaks, checkErrors }).toEqual({ corruptions: 0, leaks: 0, checkErrors: 0 })
  })

  it.each([LUKS, `${AES},compat=0.10`])('theirs: %s', { timeout: 60_000 }, async (options) => {
    referenceCreate(reference, 'theirs.qcow2', SIZE, options)
    const empty = reference.load('theirs.qcow2')
    const same = await createEncrypted(SIZE, options)
    expect(decodeHeaderArea(same.content)).toEqual(decodeHeaderArea(empty.content))
    expect(Math.ceil(same.content.length / 65536)).toBe(Math.ceil(empty.content.length / 65536))
    referenceIo(reference, 'theirs.qcow2', ['write -P 3 10k 200k', 'write -P 4 300k 1k'])
    const model = new Uint8Array(SIZE)
    model.fill(3, 10 * KIB, 210 * KIB)
    model.fill(4, 300 * KIB, 301 * KIB)
    const file = reference.load('theirs.qcow2')
    const image = await openEncrypted(file)
    expect(Buffer.compare(await readAll(image), model)).toBe(0)
    const { format, ...info } = referenceInfo(reference, 'theirs.qcow2')
    expect(format).toBe('qcow2')
    expect(info).toMatchObject(await image.info!())
    await writePieces(image, model)
    await image.close()
    reference.save('theirs.qcow2', file)
    referenceCheck(reference, 'theirs.qcow2')
    expect(Buffer.compare(referenceRaw(reference, 'theirs.qcow2'), model)).toBe(0)
  })

  it('an overlay and its backing file, encrypted in different ways', async () => {
    const base = await createEncrypted(SIZE, `${AES},cluster_size=4k`)
    const below = await openEncrypted(base)
    const model = new Uint8Array(SIZE)
    await writePieces(below, model)
    await below.close()
    const beneath = model.slice()
    reference.save('base.qcow2', base)
    const overlay = await createEncrypted(SIZE, `${LUKS},backing_file=base.qcow2,backing_fmt=qcow2`)
    reference.save('over.qcow2', overlay)
    const more = `,backing.driver=qcow2,backing.file.filename=base.qcow2,backing.encrypt.key-secret=s`
    referenceIo(reference, 'over.qcow2', ['write -P 9 50k 1k'], more)
    model.fill(9, 50 * KIB, 51 * KIB)
    const file = reference.load('over.qcow2')
    const image = await openEncrypted(file, { backing: new MemoryChild({ content: beneath }) })
    expect(Buffer.compare(await readAll(image), model)).toBe(0)
    // Copies what is around it out of the backing file.
    await image.writer!.write(130 * KIB, fill(model.subarray(130 * KIB, 131 * KIB), 130 * KIB, 5), 0)
    await image.close()
    reference.save('over.qcow2', file)
    expect(Buffer.compare(referenceRaw(reference, 'over.qcow2', 's', more), model)).toBe(0)
  })
})
