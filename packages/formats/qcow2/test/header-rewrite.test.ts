import { CoMutex } from '@blockloom/coroutine-scheduler'
import { BlockError, isBlockError } from '@blockloom/block-driver'
import { describe, expect, it } from 'vitest'
import { Corruption } from '../src/corruption.ts'
import { rewriteHeaderArea, type RewritableImage } from '../src/header-rewrite.ts'
import { updateHeader } from '../src/header-update.ts'
import { DEFAULT_FEATURE_NAMES } from '../src/on-disk/feature-names.ts'
import { decodeHeaderArea, layoutHeaderArea, type HeaderArea } from '../src/on-disk/header-area.ts'
import { HEADER_FIELDS } from '../src/on-disk/header.ts'
import { hostOffset } from '../src/units.ts'
import { MemoryChild, type ChildEvent } from './harness/memory-child.ts'
import { createInMemory } from './harness/create.ts'
import { Random } from './harness/random.ts'

interface Opened extends RewritableImage {
  readonly file: MemoryChild
}

function imageOf(file: MemoryChild): Opened {
  return { area: decodeHeaderArea(file.content), file, corruption: new Corruption(null, () => {}), headerTurn: new CoMutex() }
}

async function createArea(clusterSize: number, compat: '0.10' | '1.1', change: (area: HeaderArea) => HeaderArea): Promise<MemoryChild> {
  const file = await createInMemory({ size: 1 << 20, cluster_size: clusterSize, compat })
  const bytes = layoutHeaderArea(change(decodeHeaderArea(file.content)))
  const cluster = new Uint8Array(clusterSize)
  cluster.set(bytes)
  await file.write(0, cluster)
  return file
}

/** What counts: everything but the feature names, which are for messages, and may get lost. */
function meaning(cluster: Uint8Array): string {
  const { header, extensions, backingFile } = decodeHeaderArea(cluster)
  return JSON.stringify({ header, extensions: { ...extensions, featureNames: null }, backingFile })
}

/** Every state in which a crash before event `cut` can leave the disk; many sectors in flight are a sample. */
function* crashed(base: Uint8Array, events: readonly ChildEvent[], cut: number, random: Random): Generator<Uint8Array> {
  let covered = 0
  for (const event of events.slice(0, cut)) if (event.op === 'flush') covered = Math.max(covered, event.covers)
  const stable = base.slice()
  const open: { readonly at: number; readonly bytes: Uint8Array }[] = []
  for (const [index, event] of events.slice(0, cut).entries()) {
    if (event.op !== 'write') continue
    if (index < covered) {
      stable.set(event.bytes, event.offset)
      continue
    }
    const end = event.offset + event.bytes.length
    for (let at = event.offset; at < end; ) {
      const next = Math.min(end, at - (at % 512) + 512)
      open.push({ at, bytes: event.bytes.subarray(at - event.offset, next - event.offset) })
      at = next
    }
  }
  const samples = open.length <= 6 ? 2 ** open.length : 64
  for (let sample = 0; sample < samples; sample++) {
    const disk = stable.slice()
    for (const [index, { at, bytes }] of open.entries()) {
      const isThere = open.length <= 6 ? ((sample >> index) & 1) === 1 : random.chance(0.5)
      if (isThere) disk.set(bytes, at)
    }
    yield disk
  }
}

const BITMAPS = { count: 3, directorySize: 96, directoryOffset: hostOffset(0x800000) }
const UNKNOWN = [{ type: 0x12345678, data: Uint8Array.of(1, 2, 3) }]

const CHANGES: Readonly<Record<string, (area: HeaderArea) => HeaderArea>> = {
  'bitmaps are added': (area) => ({ ...area, header: { ...area.header, features: { ...area.header.features, bitmaps: true } }, extensions: { ...area.extensions, bitmaps: BITMAPS } }),
  'the backing file gets another name': (area) => ({ ...area, extensions: { ...area.extensions, backingFormat: 'raw' }, backingFile: 'another-name' }),
  'the backing file is named no more': (area) => ({ ...area, extensions: { ...area.extensions, backingFormat: null }, backingFile: null }),
  'there is more than a sector of unknown data': (area) => ({ ...area, extensions: { ...area.extensions, unknown: [...UNKNOWN, { type: 7, data: new Uint8Array(500).fill(7) }] } }),
}

describe('rewriting the header area', () => {
  const random = new Random(Number(process.env['CRASH_SEED'] ?? 1))
  for (const clusterSize of [512, 1024, 2048, 4096, 65536, 2 ** 21]) {
    for (const names of clusterSize < 1024 ? [null] : [null, DEFAULT_FEATURE_NAMES]) {
      for (const nameBytes of [0, 40, 1000].filter((bytes) => bytes + 700 < clusterSize || (bytes < 100 && names === null))) {
        it(`leaves the old one or the new one, ${clusterSize}-byte clusters, ${names === null ? 'no ' : ''}feature names, a backing name of ${nameBytes}`, async () => {
          const file = await createArea(clusterSize, clusterSize === 512 ? '0.10' : '1.1', (area) => ({
            ...area,
            extensions: { ...area.extensions, backingFormat: nameBytes === 0 ? null : 'qcow2', featureNames: names, unknown: UNKNOWN },
            backingFile: nameBytes === 0 ? null : 'b'.repeat(nameBytes),
          }))
          const image = imageOf(file)
          for (const [what, change] of Object.entries(CHANGES)) {
            if (image.area.header.version === 2 && what.startsWith('bitmaps')) continue
            const base = file.content.slice(0, clusterSize)
            const before = image.area
            const after = change(before)
            let fits = true
            try {
              layoutHeaderArea(after)
            } catch {
              fits = false
            }
            file.recording = true
            file.events = []
            const done = await rewriteHeaderArea(image, change).then(() => true, (error: unknown) => isBlockError(error, 'no-space') ? false : Promise.reject(error))
            file.recording = false
            expect(done, what).toBe(fits)
            if (!done) {
              expect(image.area).toBe(before)
              expect(file.content.subarray(0, clusterSize)).toEqual(base)
              continue
            }
            // In the end it is as if it had been created like that, and nothing else is left.
            const canonical = new Uint8Array(clusterSize)
            canonical.set(layoutHeaderArea(after))
            expect(Buffer.compare(file.content.subarray(0, clusterSize), canonical), what).toBe(0)
            expect(image.area).toEqual(decodeHeaderArea(canonical))
            const allowed = [meaning(base), meaning(canonical)]
            // Two long names do not fit into one small cluster.
            if (nameBytes > clusterSize / 4) continue
            for (let cut = 0; cut <= file.events.length; cut++) {
              for (const disk of crashed(base, file.events, cut, random)) {
                expect(allowed, `${what}, seed ${random.seed}, cut at ${cut} of ${file.events.length}`).toContain(meaning(disk))
              }
            }
          }
        })
      }
    }
  }

  it('changes nothing, or all, if a request fails; and works later', async () => {
    for (const clusterSize of [1024, 4096, 65536]) {
      const make = () => createArea(clusterSize, '1.1', (area) => ({
        ...area, extensions: { ...area.extensions, featureNames: DEFAULT_FEATURE_NAMES, unknown: UNKNOWN }, backingFile: 'base',
      }))
      const change = CHANGES['bitmaps are added']!
      let total = Infinity
      let failures = 0
      for (let fault = 0; fault < total; fault++) {
        const file = await make()
        const image = imageOf(file)
        const before = meaning(file.content)
        let count = 0
        file.before = (op) => {
          if (count++ === fault) throw new BlockError('io', `${op} failed`)
        }
        const outcome = await rewriteHeaderArea(image, change).then(() => 'done', String)
        file.before = undefined
        if (count <= fault) total = fault
        if (outcome !== 'done') {
          failures++
          expect(outcome).toContain('failed')
          expect(meaning(file.content), `request ${fault}`).toBe(before)
          expect(image.area.extensions.bitmaps).toBeNull()
          expect(image.corruption.first).toBeNull()
          await rewriteHeaderArea(image, change)
        }
        expect(image.area.extensions.bitmaps).toEqual(BITMAPS)
        expect(decodeHeaderArea(file.content).extensions).toMatchObject({ bitmaps: BITMAPS, unknown: UNKNOWN })
        // Also from what a failure in the middle has left.
        await rewriteHeaderArea(image, CHANGES['the backing file gets another name']!)
        expect(decodeHeaderArea(file.content)).toEqual(image.area)
        expect(image.area).toMatchObject({ backingFile: 'another-name', extensions: { bitmaps: BITMAPS } })
      }
      expect(failures).toBeGreaterThan(2)
    }
  })

  it('says so if it is not known which header is on the disk', async () => {
    const file = await createArea(65536, '1.1', (area) => area)
    const image = imageOf(file)
    file.before = (op, offset) => {
      if (op === 'write' && offset === 0) throw new BlockError('io', 'header failed')
    }
    await expect(rewriteHeaderArea(image, CHANGES['bitmaps are added']!)).rejects.toThrow('header failed')
    expect(() => image.corruption.assertWritable()).toThrow('must be closed')
  })

  it('keeps what others change in the header meanwhile', async () => {
    const file = await createArea(65536, '1.1', (area) => area)
    file.before = async () => {
      for (let turns = 3; turns > 0; turns--) await Promise.resolve()
    }
    const image = imageOf(file)
    await Promise.all([
      rewriteHeaderArea(image, CHANGES['bitmaps are added']!),
      updateHeader(image, HEADER_FIELDS.incompatible, ({ features }) => ({ features: { ...features, corrupt: true } })),
      rewriteHeaderArea(image, CHANGES['the backing file gets another name']!),
      updateHeader(image, HEADER_FIELDS.size, { size: 4096 }),
    ])
    const area = decodeHeaderArea(file.content)
    expect(area).toEqual(image.area)
    expect(area).toMatchObject({ header: { size: 4096, features: { corrupt: true, bitmaps: true } }, backingFile: 'another-name', extensions: { bitmaps: BITMAPS } })
  })
})
