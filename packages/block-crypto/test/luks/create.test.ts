import { describe, expect, test } from 'vitest'
import { createLuks, luksPayloadOffset, openLuks } from '../../src/index.ts'
import { MemoryIo, now, text } from './memory-io.ts'

/** A clock that gives these readings, one after the other. */
function fakeClock(...readings: readonly number[]): () => number {
  let at = 0
  return () => readings[Math.min(at++, readings.length - 1)]!
}

const create = (iterTime: number, clock: () => number) =>
  createLuks({ io: new MemoryIo(luksPayloadOffset()), passphrase: text('pw'), options: { iterTime }, now: clock })

describe('iter-time', () => {
  test('0 is the least', async () => {
    const { header } = await create(0, () => 0)
    expect([header.masterKeyIterations, header.keyslots[0]!.iterations]).toEqual([1000, 1000])
  })

  test('scales what was measured; the master key gets an eighth', async () => {
    // Two measurements of the minimum of 1000 iterations, each of 100 ms and 50 ms.
    const { header } = await create(800, fakeClock(0, 100, 100, 150, 200, 300, 300, 350))
    expect([header.masterKeyIterations, header.keyslots[0]!.iterations]).toEqual([2000, 16000])
  })

  test('never goes below the least, on the slowest host', async () => {
    const { header } = await create(10, fakeClock(0, 5000, 5000, 10_000, 10_000, 15_000, 15_000, 20_000))
    expect([header.masterKeyIterations, header.keyslots[0]!.iterations]).toEqual([1000, 1000])
  })

  test('refuses more than can be counted, and what is no time', async () => {
    await expect(create(1e13, fakeClock(0, 100, 100, 200))).rejects.toMatchObject({ code: 'invalid', message: 'PBKDF iterations 12500000000000 larger than 2147483647' })
    for (const time of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) await expect(create(time, now)).rejects.toMatchObject({ code: 'invalid' })
  })
})

test('two volumes share nothing: key, salts, UUID', async () => {
  const [a, b] = [new MemoryIo(luksPayloadOffset()), new MemoryIo(luksPayloadOffset())]
  for (const io of [a, b]) await createLuks({ io, passphrase: text('pw'), options: { iterTime: 0 }, now })
  const [one, two] = [await openLuks(a, text('pw')), await openLuks(b, text('pw'))]
  expect(one.header.uuid).not.toBe(two.header.uuid)
  expect(one.header.masterKeySalt).not.toEqual(two.header.masterKeySalt)
  const [x, y] = [new Uint8Array(512), new Uint8Array(512)]
  one.cipher.encryptSectors(x, 0)
  two.cipher.encryptSectors(y, 0)
  expect(x).not.toEqual(y)
})

test('AES-192-CBC, whose key material does not fill its last sector', async () => {
  const options = { cipherAlg: 'aes-192', cipherMode: 'cbc', iterTime: 0 } as const
  const io = new MemoryIo(luksPayloadOffset(options))
  await createLuks({ io, passphrase: text('pw'), options, now })
  expect((await openLuks(io, text('pw'))).header.keyBytes).toBe(24)
})

test('refuses an essiv hash that makes no AES key, before anything is written', async () => {
  const io = new MemoryIo(luksPayloadOffset())
  const options = { ivgenAlg: 'essiv', ivgenHashAlg: 'sha1' } as const
  await expect(createLuks({ io, passphrase: text('pw'), options, now })).rejects.toMatchObject({ code: 'unsupported', message: 'No AES cipher with key size 20 available' })
  expect(() => luksPayloadOffset(options)).toThrow('No AES cipher with key size 20 available')
  expect(io.log).toEqual([])
})

test('an aborted unlock stops between slots with the reason of its signal', async () => {
  const io = new MemoryIo(luksPayloadOffset())
  await createLuks({ io, passphrase: text('pw'), options: { iterTime: 0 }, now })
  const reason = new Error('enough')
  await expect(openLuks(io, text('pw'), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
})
