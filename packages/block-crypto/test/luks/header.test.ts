import { SeededRandom } from '@blockloom/oracle'
import { isBlockError } from '@blockloom/block-driver'
import { beforeAll, describe, expect, test } from 'vitest'
import { LUKS_HEADER_BYTES, createLuks, decodeLuksHeader, encodeLuksHeader, isLuksHeader, luksPayloadOffset, openLuks } from '../../src/index.ts'
import { MemoryIo, now, text } from './memory-io.ts'

let good: Uint8Array
let volume: MemoryIo

beforeAll(async () => {
  volume = new MemoryIo(luksPayloadOffset({ cipherAlg: 'aes-128' }))
  await createLuks({ io: volume, passphrase: text('pw'), options: { cipherAlg: 'aes-128', iterTime: 0 }, now })
  good = volume.disk.slice(0, LUKS_HEADER_BYTES)
})

type Change = (view: DataView, bytes: Uint8Array) => void
const SLOT = (index: number): number => 208 + index * 48

const DAMAGES: readonly (readonly [message: string, change: Change])[] = [
  ['Volume is not in LUKS format', (view) => view.setUint8(3, 0)],
  ['LUKS version 2 is not supported', (view) => view.setUint16(6, 2)],
  ['LUKS header cipher name is not NUL terminated', (_, bytes) => bytes.fill(0x61, 8, 40)],
  ['LUKS header cipher mode is not NUL terminated', (_, bytes) => bytes.fill(0x61, 40, 72)],
  ['LUKS header hash spec is not NUL terminated', (_, bytes) => bytes.fill(0x61, 72, 104)],
  ["Algorithm 'bes' with key size 32 bytes not supported", (view) => view.setUint8(8, 0x62)],
  ["Unexpected cipher mode string format 'xts'", (view) => view.setUint8(43, 0)],
  ["Cipher mode 'yts' not supported", (view) => view.setUint8(40, 0x79)],
  ["IV generator 'plain65' not supported", (view) => view.setUint8(50, 0x35)],
  ['Missing IV generator hash specification', (_, bytes) => bytes.set(text('cbc-essiv\0'), 40)],
  ["Hash algorithm 'sha257' not supported", (view) => view.setUint8(77, 0x37)],
  ["Hash algorithm 'toString' not supported", (_, bytes) => bytes.set(text('toString\0'), 72)],
  ["Algorithm 'aes' with key size 4294967295 bytes not supported", (view) => view.setUint32(108, 0xffffffff)],
  ["Algorithm 'aes' with key size 33 bytes not supported", (view) => view.setUint32(108, 33)],
  ['LUKS payload is overlapping with the header', (view) => view.setUint32(104, 7)],
  ['LUKS key iteration count is zero', (view) => view.setUint32(164, 0)],
  ['Keyslot 3 state (active/disable) is corrupted', (view) => view.setUint32(SLOT(3), 1)],
  ['Keyslot 2 is corrupted (stripes 4294967295 != 4000)', (view) => view.setUint32(SLOT(2) + 44, 0xffffffff)],
  ['Keyslot 0 is overlapping with the LUKS header', (view) => view.setUint32(SLOT(0) + 40, 1)],
  ['Keyslot 0 iteration count is zero', (view) => view.setUint32(SLOT(0) + 4, 0)],
  ['Keyslot 7 is overlapping with the encrypted payload', (view) => view.setUint32(SLOT(7) + 40, 0xffffffff)],
  ['Keyslots 1 and 2 are overlapping in the header', (view) => view.setUint32(SLOT(2) + 40, view.getUint32(SLOT(1) + 40) + 1)],
]

test.each(DAMAGES)('refuses a header: %s', (message, change) => {
  const bytes = good.slice()
  change(new DataView(bytes.buffer), bytes)
  try {
    decodeLuksHeader(bytes)
    expect.unreachable()
  } catch (error) {
    expect(isBlockError(error)).toBe(true)
    expect((error as Error).message).toBe(message)
  }
})

test('writes what it has read', () => {
  expect(Buffer.compare(encodeLuksHeader(decodeLuksHeader(good)), good)).toBe(0)
  const odd = good.slice().fill(0xff, 168, 208)
  expect(Buffer.compare(encodeLuksHeader(decodeLuksHeader(odd)), odd)).toBe(0)
})

test('what is decoded from a Buffer does not change with it', () => {
  const buffer = Buffer.from(good)
  const header = decodeLuksHeader(buffer)
  buffer.fill(0)
  expect(header).toEqual(decodeLuksHeader(good))
})

test('a header is recognized by magic and version', () => {
  expect(isLuksHeader(good)).toBe(true)
  expect(isLuksHeader(good.with(7, 2))).toBe(false)
  expect(isLuksHeader(good.subarray(0, 7))).toBe(false)
  expect(() => decodeLuksHeader(good.subarray(0, 591))).toThrow('LUKS header is truncated: 591 bytes')
})

describe('mutated headers', () => {
  test('give a header or a BlockError, nothing else', () => {
    const random = new SeededRandom()
    let accepted = 0
    for (let round = 0; round < 20_000; round++) {
      const bytes = good.slice()
      for (let changes = 1 + random.below(4); changes > 0; changes--) {
        const at = random.below(LUKS_HEADER_BYTES)
        if (random.chance(0.5)) bytes[at] = random.below(256)
        else bytes.fill(random.pick([0, 0xff, 0x7f, 0x80, 0x61]), at, at + 1 + random.below(8))
      }
      const cut = random.chance(0.05) ? bytes.subarray(0, random.below(LUKS_HEADER_BYTES)) : bytes
      try {
        const header = decodeLuksHeader(cut)
        accepted++
        for (const slot of header.keyslots) expect(slot.keyOffset + 4000 * header.keyBytes).toBeLessThanOrEqual(header.payloadOffset)
        expect(Buffer.compare(encodeLuksHeader(header).subarray(208), cut.subarray(208)), `seed ${random.seed}`).toBe(0)
      } catch (error) {
        if (!isBlockError(error)) throw new Error(`seed ${random.seed}, round ${round}`, { cause: error })
      }
    }
    expect(accepted).toBeGreaterThan(100)
  })

  test('do not make us compute for hours', async () => {
    for (const [at, message] of [
      [SLOT(0) + 4, 'Keyslot 0 iteration count 4294967295 is larger than the limit of 134217728'],
      [164, 'LUKS key iteration count 4294967295 is larger than the limit of 134217728'],
    ] as const) {
      const disk = volume.disk.slice()
      new DataView(disk.buffer).setUint32(at, 0xffffffff)
      await expect(openLuks(new MemoryIo(disk), text('pw'))).rejects.toMatchObject({ code: 'unsupported', message })
      await expect(openLuks(new MemoryIo(disk), text('pw'), { maxIterations: 2 ** 40 })).rejects.toThrow('limit of 2147483647')
    }
    await expect(openLuks(volume, text('pw'), { maxIterations: 999 })).rejects.toThrow('limit of 999')
  })

  test('damaged key material is a wrong password', async () => {
    const disk = volume.disk.slice()
    disk[4096 + 63_999]! ^= 1
    await expect(openLuks(new MemoryIo(disk), text('pw'))).rejects.toMatchObject({ code: 'denied', errno: 'EPERM' })
  })
})
