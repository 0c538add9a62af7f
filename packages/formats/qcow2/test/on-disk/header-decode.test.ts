import { isBlockError, type BlockError } from '@blockloom/block-driver'
import { afterAll, describe, expect, it } from 'vitest'
import { decodeHeaderArea } from '../../src/on-disk/header-area.ts'
import { hasQcow2Magic, readClusterSize } from '../../src/on-disk/header-decode.ts'
import { handmadeHeader, withU32, withU64 } from './handmade.ts'
import { headerCases } from './malformed-headers.ts'
import { hasReference, ReferenceImages } from './reference-images.ts'
import { SeededRandom } from './seeded-random.ts'

function refusal(decode: () => unknown): BlockError | undefined {
  try {
    decode()
    return undefined
  } catch (error) {
    if (isBlockError(error)) return error
    throw error
  }
}

describe('opening a header', () => {
  it.each(headerCases)('$name', ({ bytes, verdict, field }) => {
    const error = refusal(() => decodeHeaderArea(bytes))
    expect(error?.message ?? 'ok').toBe(verdict)
    if (field !== undefined) expect(error?.detail['field']).toBe(field)
  })

  it('reports tables that are too large as EFBIG', () => {
    const good = handmadeHeader()
    for (const bytes of [withU32(good, 36, 0xffffffff), withU32(good, 56, 1000), withU32(good, 60, 70000)]) {
      expect(refusal(() => decodeHeaderArea(bytes))).toMatchObject({ code: 'corrupt', errno: 'EFBIG' })
    }
  })

  it('tells another format from an unsupported and from a corrupt image', () => {
    const good = handmadeHeader()
    expect(refusal(() => decodeHeaderArea(withU32(good, 0, 1)))?.code).toBe('invalid')
    expect(refusal(() => decodeHeaderArea(withU32(good, 4, 4)))?.code).toBe('unsupported')
    expect(refusal(() => decodeHeaderArea(withU64(good, 72, 32n)))?.code).toBe('unsupported')
    expect(refusal(() => decodeHeaderArea(withU32(good, 36, 0)))?.code).toBe('corrupt')
  })

  it('lets a check open what it can repair', () => {
    const good = handmadeHeader()
    const repairable = [withU32(good, 56, 0), withU32(good, 60, 65537), withU64(good, 64, 1n)]
    for (const bytes of repairable) {
      expect(refusal(() => decodeHeaderArea(bytes))?.code).toBe('corrupt')
      expect(refusal(() => decodeHeaderArea(bytes, { purpose: 'check' }))).toBeUndefined()
    }
  })

  it('keeps control characters of feature names out of the message', () => {
    const bytes = withU64(handmadeHeader(), 72, 32n)
    bytes.set([0x68, 0x03, 0xf8, 0x57, 0, 0, 0, 48, 0, 5, 0x1b, 0x5b, 0x31, 0x6d, 0xff], 112)
    expect(refusal(() => decodeHeaderArea(bytes))?.message).toBe('Unsupported qcow2 feature(s): ?[1m\ufffd')
  })

  it('takes a file that is shorter than its header as padded with zeroes', () => {
    const good = handmadeHeader()
    expect(decodeHeaderArea(good.subarray(0, 104)).header.l1Entries).toBe(1)
    expect(refusal(() => decodeHeaderArea(good.subarray(0, 60)))?.message).toBe('qcow2 header too short')
    expect(refusal(() => decodeHeaderArea(new Uint8Array(0)))?.message).toBe('Image is not in qcow2 format')
  })

  it('does not read behind the first cluster', () => {
    const good = handmadeHeader()
    const longer = new Uint8Array(good.length * 2).fill(0xff)
    longer.set(good)
    expect(decodeHeaderArea(longer)).toEqual(decodeHeaderArea(good))
  })
})

describe('probing', () => {
  it('knows the magic and the cluster size', () => {
    expect(hasQcow2Magic(handmadeHeader(2))).toBe(true)
    expect(hasQcow2Magic(handmadeHeader(3))).toBe(true)
    expect(hasQcow2Magic(withU32(handmadeHeader(), 4, 1))).toBe(false)
    expect(hasQcow2Magic(new Uint8Array([0x51, 0x46, 0x49, 0xfb]))).toBe(false)
    expect(readClusterSize(handmadeHeader().subarray(0, 24))).toBe(65536)
    expect(refusal(() => readClusterSize(new Uint8Array(23)))?.message).toBe('qcow2 header too short')
  })
})

describe.runIf(hasReference)('qemu-img agrees', () => {
  const reference = hasReference ? new ReferenceImages() : undefined
  afterAll(() => reference?.[Symbol.dispose]())
  // Behind the header: an empty refcount table and L1 table, and zeroes.
  const verdict = (header: Uint8Array): string => {
    const image = new Uint8Array(0x40000)
    image.set(header)
    return reference!.verdict(image)
  }

  // Of each complaint one case, to save time; of what is accepted all.
  const seen = new Set<string>()
  const compared = headerCases.filter((c) => {
    const first = c.verdict === 'ok' || !seen.has(c.verdict)
    if (c.differs === undefined) seen.add(c.verdict)
    return c.differs === undefined && first
  })
  it.each(compared)('$name', (c) => {
    expect(verdict(c.bytes)).toBe(c.verdict)
  })

  it('on random mutations of the fixed header', () => {
    const seed = 20240917
    const random = new SeededRandom(seed)
    for (let round = 0; round < 60; round++) {
      const bytes = handmadeHeader(random.below(8) === 0 ? 2 : 3)
      for (let changes = 1 + random.below(3); changes > 0; changes--) {
        // Bytes 24 and 25, 40 and 41, ... are the top of 64-bit fields, where offsets above 2^53 are refused.
        const at = 4 + random.below(108)
        if ((at >= 24 && at < 26) || [40, 41, 48, 49, 64, 65, 95].includes(at)) continue
        bytes[at] = random.pick([0, 1, 2, 3, 8, 16, 64, 104, 112, 255, random.below(256)])
      }
      const ours = refusal(() => decodeHeaderArea(bytes))?.message ?? 'ok'
      if (ours === 'Missing CRYPTO header for crypt method 2') continue
      const context = `seed ${seed}, round ${round}: ${Buffer.from(bytes.subarray(0, 112)).toString('hex')}`
      expect(ours, context).toBe(onlyHeader(verdict(bytes)) ?? ours)
    }
  })
})

/** The verdict, unless it is about something behind the header. */
function onlyHeader(verdict: string): string | undefined {
  return /^(Too much extra metadata|Snapshot table is too big|Could not|Failed)/.test(verdict) ? undefined : verdict
}
