import { isBlockError } from '@blockloom/block-driver'
import { afterAll, describe, expect, it } from 'vitest'
import type { RefcountBits } from '../../src/units.ts'
import { decodeHeaderArea } from '../../src/on-disk/header-area.ts'
import { viewOf } from '../../src/on-disk/integers.ts'
import * as refcount from '../../src/on-disk/refcount.ts'
import { hasReference, ReferenceImages } from './reference-images.ts'
import { forSeeds } from './seeded-random.ts'

const widths: readonly RefcountBits[] = [1, 2, 4, 8, 16, 32, 64]

describe('refcount blocks', () => {
  it.each(widths)('%i bits wide: read back as written, neighbours untouched', (bits) => {
    const codec = refcount.refcountCodec(bits)
    forSeeds(bits * 1000, 20, (random) => {
      const block = new DataView(new ArrayBuffer(64))
      const expected = Array.from({ length: 512 / bits }, () => 0)
      for (let round = 0; round < 200; round++) {
        const index = random.below(expected.length)
        const value = random.pick([0, 1, codec.max, random.below(codec.max)])
        codec.set(block, index, value)
        expected[index] = value
      }
      expect(expected.map((_, index) => codec.get(block, index))).toEqual(expected)
    })
  })

  it.each(widths)('%i bits wide: runs are what single ones are', (bits) => {
    const codec = refcount.refcountCodec(bits)
    forSeeds(bits * 2000, 20, (random) => {
      const block = new DataView(new ArrayBuffer(64))
      const expected = Array.from({ length: 512 / bits }, () => 0)
      for (let round = 0; round < 50; round++) {
        const first = random.below(expected.length)
        const count = random.below(expected.length - first + 1)
        const value = random.pick([0, 0, 1, codec.max])
        codec.fill(block, first, count, value)
        expected.fill(value, first, first + count)
        expect(expected.map((_, index) => codec.get(block, index))).toEqual(expected)
        const from = random.below(expected.length + 1)
        const to = from + random.below(expected.length - from + 1)
        const used = expected.findIndex((refcount, index) => index >= from && refcount !== 0)
        expect(codec.zeroes(block, from, to)).toBe((used === -1 ? to : Math.min(used, to)) - from)
      }
    })
  })

  it('pack sub-byte refcounts from the least significant bit', () => {
    const block = new DataView(new ArrayBuffer(2))
    refcount.refcountCodec(1).set(block, 0, 1)
    refcount.refcountCodec(1).set(block, 9, 1)
    expect([block.getUint8(0), block.getUint8(1)]).toEqual([0b0000_0001, 0b0000_0010])
    refcount.refcountCodec(4).set(block, 1, 0xa)
    refcount.refcountCodec(2).set(block, 7, 3)
    expect([block.getUint8(0), block.getUint8(1)]).toEqual([0b1010_0001, 0b1100_0010])
  })

  it('store wider ones big-endian', () => {
    const block = new DataView(new ArrayBuffer(8))
    refcount.refcountCodec(16).set(block, 1, 0x1234)
    expect(block.getUint32(0)).toBe(0x1234)
    refcount.refcountCodec(64).set(block, 0, 2 ** 40 + 5)
    expect(block.getBigUint64(0)).toBe(2n ** 40n + 5n)
  })

  it.each(widths)('%i bits wide: refuse what does not fit', (bits) => {
    const codec = refcount.refcountCodec(bits)
    const block = new DataView(new ArrayBuffer(64))
    expect(codec.max).toBe(bits === 64 ? Number.MAX_SAFE_INTEGER : 2 ** bits - 1)
    for (const value of [codec.max + 1, -1, 0.5, Number.NaN]) {
      expect(() => codec.set(block, 0, value)).toThrow(expect.toSatisfy((e) => isBlockError(e, 'invalid')))
      expect(() => codec.fill(block, 0, 3, value)).toThrow(expect.toSatisfy((e) => isBlockError(e, 'invalid')))
    }
    expect(new Uint8Array(block.buffer).every((byte) => byte === 0)).toBe(true)
  })

  it('read absurd 64-bit refcounts as the largest', () => {
    const block = new DataView(new ArrayBuffer(8))
    block.setBigUint64(0, 2n ** 64n - 1n)
    expect(refcount.refcountCodec(64).get(block, 0)).toBe(Number.MAX_SAFE_INTEGER)
  })
})

describe('refcount tables', () => {
  it('hold offsets, with reserved bits apart', () => {
    const table = new DataView(new ArrayBuffer(16))
    refcount.setRefcountBlockOffset(table, 1, 2 ** 40 + 0x10000)
    expect(table.getBigUint64(8)).toBe(2n ** 40n + 0x10000n)
    expect(refcount.refcountBlockOffset(table, 1)).toBe(2 ** 40 + 0x10000)
    expect(refcount.refcountEntryHasReservedBits(table, 1)).toBe(false)
    table.setUint8(15, 1)
    expect(refcount.refcountBlockOffset(table, 1)).toBe(2 ** 40 + 0x10000)
    expect(refcount.refcountEntryHasReservedBits(table, 1)).toBe(true)
  })
})

describe.runIf(hasReference)('refcounts of qemu-img', () => {
  const reference = hasReference ? new ReferenceImages() : undefined
  afterAll(() => reference?.[Symbol.dispose]())

  it.each(widths)('%i bits wide: each cluster of a new image is used once', (bits) => {
    reference!.create('r.qcow2', '1M', '-o', `refcount_bits=${bits}`)
    reference!.run('qemu-io', '-c', 'write 0 512k', 'r.qcow2')
    const image = reference!.read('r.qcow2')
    const { header, geometry } = decodeHeaderArea(image)
    expect(geometry.refcountBits).toBe(bits)
    const table = viewOf(image.subarray(header.refcountTableOffset))
    const block = viewOf(image.subarray(refcount.refcountBlockOffset(table, 0)))
    const codec = refcount.refcountCodec(geometry.refcountBits)
    const counts = Array.from({ length: 20 }, (_, index) => codec.get(block, index))
    // Header, refcount table and block, L1, L2, eight data clusters.
    expect(counts).toEqual([...Array(13).fill(1), ...Array(7).fill(0)])
  })
})
