import { isBlockError } from '@blockloom/block-driver'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createGeometry, hostOffset } from '../../src/units.ts'
import * as directory from '../../src/on-disk/bitmap-directory.ts'
import { DEFAULT_FEATURE_NAMES } from '../../src/on-disk/feature-names.ts'
import { decodeHeaderArea, layoutHeaderArea } from '../../src/on-disk/header-area.ts'
import { EXTENSION } from '../../src/on-disk/header-extensions.ts'
import * as snapshots from '../../src/on-disk/snapshot-table.ts'
import { featureName, handmadeHeader, withExtensions, withU32, withU64, words } from './handmade.ts'
import { forSeeds, type SeededRandom } from './seeded-random.ts'

// Every field of an image is hostile: whatever the bytes are, decoding gives a value or a BlockError that names a
// field, in bounded time and memory.

const interesting32 = [0, 1, 7, 8, 15, 16, 104, 512, 1023, 1024, 65535, 65536, 0x7fffffff, 0x80000000, 0xffffffff]

function mutate(random: SeededRandom, original: Uint8Array, until = original.length): Uint8Array {
  const bytes = original.slice(0, random.below(10) === 0 ? random.below(original.length + 1) : undefined)
  for (let changes = 1 + random.below(6); changes > 0; changes--) {
    const at = random.below(Math.min(until, bytes.length))
    if (bytes.length < 4) break
    const word = Math.min(at - (at % 4), bytes.length - 4)
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    const kind = random.below(4)
    if (kind === 0) bytes[at] = random.below(256)
    else if (kind === 1) bytes[at]! ^= 2 ** random.below(8)
    else if (kind === 2) view.setUint32(word, random.pick(interesting32))
    else view.setUint32(word, random.below(2 ** 32))
  }
  return bytes
}

/** Runs a decoder; only a BlockError may come out of it. */
function survives(decode: () => unknown): boolean {
  try {
    decode()
    return true
  } catch (error) {
    if (!isBlockError(error)) throw error
    expect(error.message).not.toBe('')
    return false
  }
}

let largest = 0
beforeAll(() => {
  const counting = new Proxy(Uint8Array, {
    construct(target, args: [number]) {
      if (typeof args[0] === 'number') largest = Math.max(largest, args[0])
      return Reflect.construct(target, args)
    },
  })
  vi.stubGlobal('Uint8Array', counting)
})
afterAll(() => void vi.unstubAllGlobals())

describe('hostile headers', () => {
  const plain = withExtensions(
    handmadeHeader(),
    { type: EXTENSION.featureNames, data: featureName(0, 5, 'five') },
    { type: EXTENSION.backingFormat, data: new Uint8Array([0x72, 0x61, 0x77]) },
    { type: 0x12345678, data: new Uint8Array(20) },
  )
  const bases: readonly (readonly [string, Uint8Array])[] = [
    ['version 2', handmadeHeader(2)],
    ['with extensions', plain],
    ['with a backing file', withU32(withU64(plain, 8, 512n), 16, 40)],
    [
      'with bitmaps and LUKS',
      withU64(
        withU32(
          withExtensions(
            handmadeHeader(),
            { type: EXTENSION.bitmaps, data: words(2, 0, 64n, 0x40000n) },
            { type: EXTENSION.encryption, data: words(0x50000n, 592n) },
          ),
          32,
          2,
        ),
        88,
        1n,
      ),
    ],
    [
      'as we write it',
      layoutHeaderArea({
        ...decodeHeaderArea(plain),
        extensions: { ...decodeHeaderArea(plain).extensions, featureNames: DEFAULT_FEATURE_NAMES, dataFile: 'data' },
        backingFile: 'backing',
      }),
    ],
  ]

  it.each(bases)('%s', (_, base) => {
    let accepted = 0
    forSeeds(1, 400, (random) => {
      const bytes = mutate(random, base, 600)
      const opened = survives(() => {
        const area = decodeHeaderArea(bytes)
        // What was accepted can be written again, unless it was at the edge of a cluster, and then means the same.
        const again = survives(() => layoutHeaderArea(area)) ? decodeHeaderArea(layoutHeaderArea(area)) : area
        expect(again.backingFile).toBe(area.backingFile)
        expect(again.extensions).toEqual(area.extensions)
        expect({ ...again.header, headerLength: 0, additionalFields: null, features: null }).toEqual({
          ...area.header,
          headerLength: 0,
          additionalFields: null,
          features: null,
        })
      })
      if (opened) accepted++
      survives(() => decodeHeaderArea(bytes, { purpose: 'check' }))
    })
    // The mutations reach both sides.
    expect(accepted).toBeGreaterThan(10)
    expect(accepted).toBeLessThan(390)
    expect(largest).toBeLessThanOrEqual(2 ** 21)
  })

  it('random bytes behind a good start', () => {
    forSeeds(1000, 200, (random) => {
      const bytes = handmadeHeader()
      bytes.set(random.bytes(random.below(2000)), random.pick([8, 20, 72, 100, 112]))
      survives(() => decodeHeaderArea(bytes))
    })
  })
})

describe('hostile snapshot tables', () => {
  const base = snapshots.encodeSnapshotTable(
    [1, 2, 3].map((id) => ({
      l1Offset: hostOffset(0x40000),
      l1Entries: 1,
      id: String(id),
      name: `snapshot ${id}`,
      dateSeconds: 0,
      dateNanoseconds: 0,
      vmClock: 0n,
      vmStateSize: 0,
      diskSize: 1,
      instructionCount: null,
      unknownExtraData: new Uint8Array(8),
      extraDataSize: 32,
    })),
    1,
  )
  const geometry = createGeometry({ clusterBits: 16, refcountOrder: 4, extendedL2: false })

  it('give entries or a BlockError', () => {
    largest = 0
    forSeeds(1, 2000, (random) => {
      const bytes = mutate(random, base)
      survives(() => {
        const { entries, consumed } = snapshots.decodeSnapshotEntries(bytes, random.pick([0, 1, 3, 65536]))
        expect(consumed).toBeLessThan(bytes.length + 8)
        for (const entry of entries) survives(() => snapshots.validateSnapshot(entry, geometry))
        survives(() => snapshots.encodeSnapshotTable(entries, 1))
      })
    })
    expect(largest).toBeLessThan(2000)
  })
})

describe('hostile bitmap directories', () => {
  const geometry = createGeometry({ clusterBits: 12, refcountOrder: 4, extendedL2: false })
  const base = directory.encodeBitmapDirectory(
    ['a', 'bitmap', 'c'.repeat(40)].map((name) => ({
      tableOffset: hostOffset(0x5000),
      tableEntries: 1,
      inUse: false,
      auto: true,
      granularityBits: 16,
      name,
    })),
    geometry,
  )

  it('give entries that can be written again, or a BlockError', () => {
    let accepted = 0
    forSeeds(1, 2000, (random) => {
      const bytes = mutate(random, base)
      survives(() => {
        const entries = directory.decodeBitmapDirectory(bytes, 3, geometry)
        const again = directory.encodeBitmapDirectory(entries, geometry)
        expect(directory.decodeBitmapDirectory(again, 3, geometry)).toEqual(entries)
        accepted++
      })
    })
    expect(accepted).toBeGreaterThan(10)
  })
})
