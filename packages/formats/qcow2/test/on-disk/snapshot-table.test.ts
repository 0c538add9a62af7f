import { isBlockError } from '@blockloom/block-driver'
import { afterAll, describe, expect, it } from 'vitest'
import { createGeometry, hostOffset } from '../../src/units.ts'
import { decodeHeaderArea } from '../../src/on-disk/header-area.ts'
import * as table from '../../src/on-disk/snapshot-table.ts'
import { words } from './handmade.ts'
import { hasReference, ReferenceImages } from './reference-images.ts'
import { forSeeds, type SeededRandom } from './seeded-random.ts'

const geometry = createGeometry({ clusterBits: 16, refcountOrder: 4, extendedL2: false })

const entry: table.SnapshotEntry = {
  l1Offset: hostOffset(0x40000),
  l1Entries: 1,
  id: '1',
  name: 'first',
  dateSeconds: 1_700_000_000,
  dateNanoseconds: 123_456_789,
  vmClock: 2n ** 60n + 1n,
  vmStateSize: 2 ** 33,
  diskSize: 64 * 1024 * 1024,
  instructionCount: null,
  unknownExtraData: new Uint8Array(0),
  extraDataSize: 24,
}

/** An entry by hand: extra data words, then "1" and "ab". */
function handmade(extra: Uint8Array, stateSize32 = 0): Uint8Array {
  const fixed = words(0x40000n, 3, 0x0001_0002, 7, 8, 9n, stateSize32, extra.length)
  const bytes = new Uint8Array(Math.ceil((fixed.length + extra.length + 3) / 8) * 8)
  bytes.set(fixed)
  bytes.set(extra, 40)
  bytes.set([0x31, 0x61, 0x62], 40 + extra.length)
  return bytes
}

function decodeOne(bytes: Uint8Array): table.SnapshotEntry {
  const { entries, consumed } = table.decodeSnapshotEntries(bytes, 1)
  expect(consumed).toBe(bytes.length)
  return entries[0]!
}

describe('decoding', () => {
  it('reads entries without extra data, as old images have', () => {
    const decoded = decodeOne(handmade(new Uint8Array(0), 4096))
    expect(decoded).toEqual({
      l1Offset: 0x40000,
      l1Entries: 3,
      id: '1',
      name: 'ab',
      dateSeconds: 7,
      dateNanoseconds: 8,
      vmClock: 9n,
      vmStateSize: 4096,
      diskSize: null,
      instructionCount: null,
      unknownExtraData: new Uint8Array(0),
      extraDataSize: 0,
    })
    expect(table.isCompleteSnapshotEntry(decoded)).toBe(false)
  })

  it('prefers the 64-bit VM state size, and reads what the extra data has', () => {
    expect(decodeOne(handmade(words(2n ** 40n), 4096))).toMatchObject({ vmStateSize: 2 ** 40, diskSize: null })
    expect(decodeOne(handmade(words(1n, 512n), 4096))).toMatchObject({ vmStateSize: 1, diskSize: 512 })
    expect(decodeOne(handmade(words(1n, 2n, 2n ** 60n)))).toMatchObject({ instructionCount: 2n ** 60n })
    expect(decodeOne(handmade(words(1n, 2n, 2n ** 64n - 1n)))).toMatchObject({ instructionCount: null })
    const unknown = decodeOne(handmade(words(1n, 2n, 3n, 0x0102)))
    expect([...unknown.unknownExtraData]).toEqual([0, 0, 1, 2])
    expect(table.isCompleteSnapshotEntry(unknown)).toBe(true)
  })

  it('goes on from window to window', () => {
    const entries = Array.from({ length: 20 }, (_, i) => ({ ...entry, id: String(i), name: 'n'.repeat(i * 13) }))
    const bytes = table.encodeSnapshotTable(entries, 0)
    const found: table.SnapshotEntry[] = []
    let at = 0
    while (found.length < entries.length) {
      const window = bytes.subarray(at, at + 400)
      const part = table.decodeSnapshotEntries(window, entries.length - found.length, found.length, at)
      expect(part.entries.length).toBeGreaterThan(0)
      found.push(...part.entries)
      at += part.consumed
    }
    expect(found).toEqual(entries)
    expect(at).toBe(bytes.length)
  })

  it('waits for the rest of an entry', () => {
    const bytes = table.encodeSnapshotTable([entry, entry], 0)
    for (const length of [0, 39, 40, 69]) {
      expect(table.decodeSnapshotEntries(bytes.subarray(0, length), 2)).toEqual({ entries: [], consumed: 0 })
    }
    expect(table.decodeSnapshotEntries(bytes.subarray(0, bytes.length - 8), 2).entries.length).toBe(1)
  })

  it('always finds an entry in a window of the largest entry', () => {
    const largest = words(0n, 0, 0xffff_ffff, 0, 0, 0n, 0, 1024)
    const window = new Uint8Array(table.MAX_SNAPSHOT_ENTRY_BYTES)
    window.set(largest)
    const { entries } = table.decodeSnapshotEntries(window, 1)
    expect(entries[0]!.name.length).toBe(65535)
  })

  it('refuses too much extra data and a table above 64 MiB', () => {
    const tooMuch = handmade(new Uint8Array(1025))
    expect(() => table.decodeSnapshotEntries(tooMuch, 1, 5)).toThrow(
      'Too much extra metadata in snapshot table entry 5',
    )
    const bytes = handmade(new Uint8Array(0))
    const end = 64 * 1024 * 1024
    expect(table.decodeSnapshotEntries(bytes, 1, 0, end - 43).entries.length).toBe(1)
    expect(() => table.decodeSnapshotEntries(bytes, 1, 0, end - 42)).toThrow('Snapshot table is too big')
  })
})

describe('using a snapshot', () => {
  it('checks where it leads', () => {
    table.validateSnapshot(entry, geometry)
    const bad: [Partial<table.SnapshotEntry>, string][] = [
      [{ l1Offset: hostOffset(512) }, 'Snapshot L1 table offset invalid'],
      [{ l1Offset: hostOffset(2 ** 63) }, 'Snapshot L1 table offset invalid'],
      [{ l1Entries: 4194305 }, 'Snapshot L1 table too large'],
      [{ vmStateSize: 2 ** 60 }, 'Snapshot vm_state_size is too large'],
      [{ diskSize: 2 ** 53 }, 'Snapshot disk_size is too large'],
    ]
    for (const [change, message] of bad) {
      expect(() => table.validateSnapshot({ ...entry, ...change }, geometry)).toThrow(message)
    }
  })
})

describe('encoding', () => {
  it('reads back what it wrote', () => {
    forSeeds(1, 200, (random) => {
      const entries = Array.from({ length: random.below(5) }, () => randomEntry(random))
      const bytes = table.encodeSnapshotTable(entries, 0)
      expect(table.decodeSnapshotEntries(bytes, entries.length)).toEqual({ entries, consumed: bytes.length })
    })
  })

  it('completes old entries', () => {
    const old = decodeOne(handmade(new Uint8Array(0), 4096))
    const again = decodeOne(table.encodeSnapshotTable([old], 777))
    expect(again).toEqual({ ...old, diskSize: 777, extraDataSize: 24 })
  })

  it('writes a VM state size that old readers understand', () => {
    const sizeFields = (vmStateSize: number): [number, bigint] => {
      const view = new DataView(table.encodeSnapshotTable([{ ...entry, vmStateSize }], 0).buffer)
      return [view.getUint32(32), view.getBigUint64(40)]
    }
    expect(sizeFields(4096)).toEqual([4096, 4096n])
    expect(sizeFields(2 ** 33)).toEqual([0, 2n ** 33n])
  })

  it('refuses what the format cannot hold', () => {
    const refused = (change: Partial<table.SnapshotEntry>, count = 1) => {
      expect(() => table.encodeSnapshotTable(Array(count).fill({ ...entry, ...change }), 0)).toThrow(
        expect.toSatisfy((error) => isBlockError(error, 'invalid')),
      )
    }
    refused({ id: 'x'.repeat(65536) })
    refused({ name: 'ü'.repeat(32768) })
    refused({ unknownExtraData: new Uint8Array(1001) })
    refused({ diskSize: 2 ** 53 })
    refused({ dateSeconds: -1 })
    refused({}, 65537)
    refused({ name: 'x'.repeat(65535) }, 1024)
  })
})

function randomEntry(random: SeededRandom): table.SnapshotEntry {
  const unknownExtraData = random.bytes(random.pick([0, 0, 5, 8, 1000]))
  return {
    l1Offset: hostOffset(random.below(2 ** 37) * 65536),
    l1Entries: random.below(2 ** 32),
    id: random.pick(['', '1', '4711', 'ä']),
    name: random.pick(['', 'vm', 'x'.repeat(300), 'bad\udcff']),
    dateSeconds: random.below(2 ** 32),
    dateNanoseconds: random.below(1e9),
    vmClock: BigInt(random.below(2 ** 53)) * 2048n,
    vmStateSize: random.pick([0, 4096, random.below(2 ** 53)]),
    diskSize: random.below(2 ** 53),
    instructionCount: random.pick([null, 0n, 2n ** 63n]),
    unknownExtraData,
    extraDataSize: 24 + unknownExtraData.length,
  }
}

describe.runIf(hasReference)('the table of qemu-img', () => {
  const reference = hasReference ? new ReferenceImages() : undefined
  afterAll(() => reference?.[Symbol.dispose]())

  it('is read, and listed alike after we wrote it', () => {
    reference!.create('s.qcow2', '64M')
    for (const name of ['first', 'zweiter Stand ü']) reference!.run('qemu-img', 'snapshot', '-c', name, 's.qcow2')
    const listed = reference!.run('qemu-img', 'snapshot', '-l', 's.qcow2')
    const image = reference!.read('s.qcow2')
    const { header, geometry: g } = decodeHeaderArea(image)
    expect(header.snapshotCount).toBe(2)
    const offset = header.snapshotTableOffset
    const stored = new Uint8Array(4096)
    stored.set(image.subarray(offset, offset + 4096))
    const { entries, consumed } = table.decodeSnapshotEntries(stored, 2)
    expect(entries.map((e) => [e.id, e.name, e.diskSize, e.vmStateSize])).toEqual([
      ['1', 'first', 67108864, 0],
      ['2', 'zweiter Stand ü', 67108864, 0],
    ])
    for (const e of entries) table.validateSnapshot(e, g)

    const written = table.encodeSnapshotTable(entries, header.size)
    expect(written).toEqual(stored.subarray(0, consumed))
    const ours = new Uint8Array(Math.max(image.length, offset + 65536))
    ours.set(image)
    ours.set(table.encodeSnapshotTable([entries[0]!, { ...entries[1]!, instructionCount: 5n }], header.size), offset)
    reference!.write('s.qcow2', ours)
    expect(reference!.run('qemu-img', 'snapshot', '-l', 's.qcow2')).toBe(listed.replace(/ 0\n$/, ' 5\n'))
    expect(reference!.run('qemu-img', 'check', 's.qcow2')).toContain('No errors')
  })
})
