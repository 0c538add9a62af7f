import { BlockError, isBlockError } from '@blockloom/block-driver'
import { afterAll, describe, expect, it } from 'vitest'
import { readHeaderArea } from '../../src/read-header.ts'
import { repairImage } from '../../src/repair/repair.ts'
import { corruptBadly } from '../harness/corrupt.ts'
import { createInMemory } from '../harness/create.ts'
import { MemoryChild } from '../harness/memory-child.ts'
import { openQcow2, readAll } from '../harness/open.ts'
import { Random } from '../harness/random.ts'
import { haveReference, Reference } from '../harness/reference.ts'
import { guestView, lost } from './guest-view.ts'
import { ourRepair, referenceChecks } from './reference-repair.ts'

const KIB = 1024
const CLEAN = { corruptions: 0, leaks: 0, checkErrors: 0 }

const view = ({ content }: MemoryChild): DataView => new DataView(content.buffer, content.byteOffset, content.length)
const offsetAt = (file: MemoryChild, at: number): number => Number(view(file).getBigUint64(at) & 0x00ff_ffff_ffff_fe00n)
const l1Of = (file: MemoryChild): number => offsetAt(file, 40)
const l2Of = (file: MemoryChild): number => offsetAt(file, l1Of(file))
const blockOf = (file: MemoryChild): number => offsetAt(file, offsetAt(file, 48))

/** An image of 1 MiB with 300 KiB of data, in clusters of 4 KiB. */
async function makeImage(options: Readonly<Record<string, unknown>> = {}, snapshot = false): Promise<MemoryChild> {
  const file = await createInMemory({ size: '1M', cluster_size: '4k', ...options })
  const image = await openQcow2({ file })
  await image.writer!.write(0, new Uint8Array(300 * KIB).map((_, i) => 1 + (i >> 12)), 0)
  if (snapshot) await image.snapshots!.create!({ name: 'one' })
  if (snapshot) await image.writer!.write(0, new Uint8Array(40 * KIB).fill(200), 0)
  await image.close()
  return new MemoryChild({ content: file.content })
}

async function check(file: MemoryChild): Promise<object> {
  const image = await openQcow2({ file, mode: { readOnly: true, forCheck: true } })
  const { corruptions, leaks, checkErrors } = await image.check!.check({ fix: 'none' })
  return { corruptions, leaks, checkErrors }
}

describe('repair', () => {
  it('clears the corrupt and the dirty bit of an image that is clean, or clean again', async () => {
    for (const fix of ['leaks', 'errors'] as const) {
      const file = await makeImage()
      file.content[79] = 3
      view(file).setUint16(blockOf(file) + 2 * 10, 5)
      const image = await openQcow2({ file, mode: { forCheck: true } })
      expect(await image.check!.check({ fix })).toMatchObject({ ...CLEAN, leaksFixed: 1 })
      expect(file.content[79]).toBe(0)
    }
  })

  it('of leaks leaves the corrupt bit of an image with other errors', async () => {
    const file = await makeImage()
    file.content[79] = 2
    view(file).setUint8(l2Of(file), 0x81)
    const image = await openQcow2({ file, mode: { forCheck: true } })
    expect(await image.check!.check({ fix: 'leaks' })).toMatchObject({ corruptions: 1, corruptionsFixed: 0 })
    expect(file.content[79]).toBe(2)
    await expect(openQcow2({ file })).rejects.toThrow('Image is corrupt')
  })

  it('of leaks does not rebuild refcounts, and says so', async () => {
    const file = await makeImage()
    view(file).setUint16(blockOf(file) + 2 * 8, 0)
    const before = file.content.slice()
    const image = await openQcow2({ file, mode: { forCheck: true } })
    const lines: string[] = []
    const result = await image.check!.check({ fix: 'leaks', report: (line) => lines.push(line) })
    expect(result).toMatchObject({ checkErrors: 1, corruptionsFixed: 0, leaksFixed: 0 })
    expect(result.totalClusters).toBe(undefined)
    expect(lines).toEqual(['ERROR cluster 8 refcount=0 reference=1', 'ERROR need to rebuild refcount structures'])
    expect(Buffer.compare(file.content, before)).toBe(0)
  })

  it('clears autoclear bits that it does not know', async () => {
    const file = await makeImage()
    file.content[88] = 0x80
    await (await openQcow2({ file, mode: { forCheck: true } })).check!.check({ fix: 'leaks' })
    expect(file.content[88]).toBe(0)
  })

  it('gives back the space of leaked clusters', async () => {
    const file = await makeImage()
    const cluster = Math.ceil(file.content.length / 4096)
    await file.write(cluster * 4096, new Uint8Array(4096).fill(1))
    view(file).setUint16(blockOf(file) + 2 * cluster, 1)
    file.recording = true
    await (await openQcow2({ file, mode: { forCheck: true } })).check!.check({ fix: 'leaks' })
    expect(file.events.filter(({ op }) => op === 'discard')).toMatchObject([{ offset: cluster * 4096, length: 4096 }])
  })

  it('can be aborted', async () => {
    const image = await openQcow2({ file: await makeImage(), mode: { forCheck: true } })
    await expect(image.check!.check({ fix: 'errors', signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')
  })

  it('makes refcounts wider if clusters have more uses than they can say', async () => {
    const file = await makeImage({ refcount_bits: 1 })
    view(file).setBigUint64(l2Of(file) + 8, view(file).getBigUint64(l2Of(file)))
    const image = await openQcow2({ file, mode: { forCheck: true } })
    await image.check!.check({ fix: 'errors' })
    expect(await image.info!()).toMatchObject({ 'format-specific': { data: { 'refcount-bits': 16 } } })
    expect(await check(file)).toEqual(CLEAN)
    // The shared cluster is copied when one of the two is written.
    const again = await openQcow2({ file })
    await again.writer!.write(0, new Uint8Array(10).fill(99), 0)
    const bytes = new Uint8Array(4096)
    await again.read(4096, bytes, 0)
    expect([bytes[0], bytes[9]]).toEqual([1, 1])
    await again.close()
  })

  it('moves an L2 table that lies on the header, and an L1 table that lies on guest data', async () => {
    const file = await makeImage({}, true)
    const whole = (await guestView(new MemoryChild({ content: file.content })))!
    // The second L1 entry would lead to the header; the snapshot's L1 table would be what the guest wrote.
    const table = offsetAt(file, 64)
    const guest = offsetAt(file, l2Of(file))
    view(file).setBigUint64(table, BigInt(guest))
    view(file).setUint32(table + 8, 4)
    view(file).setBigUint64(l1Of(file) + 8, 1n << 63n)
    const header = file.content.slice(0, 24)
    const broken = await guestView(new MemoryChild({ content: file.content }))
    const image = await openQcow2({ file, mode: { forCheck: true } })
    await image.check!.check({ fix: 'errors' })
    expect(await check(file)).toEqual(CLEAN)
    expect(file.content.slice(0, 24)).toEqual(header)
    expect(lost(whole, broken, await guestView(file))).toBe(null)
  })

  it('takes the refcount table from a block that cannot be read', async () => {
    const file = await makeImage()
    const block = blockOf(file)
    file.before = (op, offset, bytes) => {
      if (op === 'read' && offset <= block && block < offset + bytes) throw new BlockError('io', 'Input/output error')
    }
    const image = await openQcow2({ file, mode: { forCheck: true } })
    expect(await image.check!.check({ fix: 'none' })).toMatchObject({ checkErrors: file.content.length / 4096 })
    await image.check!.check({ fix: 'errors' })
    expect(blockOf(file)).not.toBe(block)
    expect(await check(file)).toEqual(CLEAN)
  })

  it('needs as little memory as it is given: many passes do what one does', async () => {
    const base = await createInMemory({ size: '24M', cluster_size: '512' })
    const made = await openQcow2({ file: base })
    for (let at = 0; at < 12; at++) await made.writer!.write(at * 2 * 1024 * KIB, new Uint8Array(1024 * KIB).fill(at + 1), 0)
    await made.close()
    for (let seed = 1; seed <= 4; seed++) {
      const broken = corruptBadly(base.content, new Random(seed), 5).content
      const before = await guestView(new MemoryChild({ content: broken }))
      const repaired: (object | null)[] = []
      for (const memory of [undefined, 12_000]) {
        const file = new MemoryChild({ content: broken })
        const area = await readHeaderArea(file, true)
        const { result } = await repairImage({ file, area, geometry: area.geometry }, { fix: 'errors' }, memory)
        expect(await check(file), `seed ${seed}, memory ${memory}`).toEqual(CLEAN)
        const { leaksFixed, allocatedClusters, fragmentedClusters } = result
        repaired.push({ leaksFixed, allocatedClusters, fragmentedClusters })
        const loss = before && lost(before, before, await guestView(file))
        if (loss !== null) expect(loss, `seed ${seed}, memory ${memory}`).toMatch(/^the disk at piece/)
      }
      expect(repaired[1], `seed ${seed}`).toEqual(repaired[0])
    }
  })

  it('ends soon on tables that refer to themselves and to everything', { timeout: 60_000 }, async () => {
    const file = await createInMemory({ size: 2 ** 46, cluster_size: '64k' })
    const l1 = l1Of(file)
    const entries = view(file).getUint32(36)
    const l2 = Math.ceil((l1 + entries * 8) / 65536) * 65536
    await file.zero(l2, 65536)
    for (let i = 0; i < entries; i++) view(file).setBigUint64(l1 + i * 8, 0x8000_0000_0000_0000n + BigInt(l2))
    for (let i = 0; i < 8192; i++) view(file).setBigUint64(l2 + i * 8, 0x8000_0000_0000_0000n + BigInt(i % 2 === 0 ? l1 : l2 + 512))
    const image = await openQcow2({ file, mode: { forCheck: true } })
    await image.check!.check({ fix: 'errors' })
    expect(await check(file)).toEqual(CLEAN)
    expect(file.content.length).toBeLessThan(8 << 20)
  })
})

describe('repair of an image that is open for writing', () => {
  it('brings what is in memory up to date', async () => {
    const file = await makeImage({}, true)
    const image = await openQcow2({ file })
    await image.writer!.write(400 * KIB, new Uint8Array(100 * KIB).fill(77), 0)
    await image.writer!.flush('stable')
    // Below it somebody else has damaged the file: refcounts, a COPIED flag, an entry.
    view(file).setUint16(blockOf(file) + 2 * 9, 0)
    view(file).setUint16(blockOf(file) + 2 * 100, 7)
    view(file).setUint8(l2Of(file), 0)
    view(file).setUint8(l2Of(file) + 8, view(file).getUint8(l2Of(file) + 8) | 1)
    const { corruptionsFixed, leaksFixed } = await image.check!.check({ fix: 'errors' })
    expect(corruptionsFixed).toBeGreaterThan(2)
    expect(leaksFixed).toBeGreaterThan(0)
    expect(await image.check!.check({ fix: 'none' })).toMatchObject(CLEAN)
    const before = await readAll(image)
    await image.writer!.write(600 * KIB, new Uint8Array(200 * KIB).fill(88), 0)
    await image.snapshots!.create!({ name: 'two' })
    await image.writer!.write(0, new Uint8Array(200 * KIB).fill(99), 0)
    const bytes = await readAll(image)
    expect([bytes[0], bytes[300 * KIB], bytes[400 * KIB], bytes[600 * KIB]]).toEqual([99, before[300 * KIB], 77, 88])
    await image.close()
    expect(await check(file)).toEqual(CLEAN)
  })

  it('goes on with wider refcounts', async () => {
    const file = await makeImage({ refcount_bits: 1 })
    const image = await openQcow2({ file })
    view(file).setBigUint64(l2Of(file) + 8, view(file).getBigUint64(l2Of(file)))
    await image.check!.check({ fix: 'errors' })
    await image.snapshots!.create!({ name: 'needs two' })
    await image.writer!.write(0, new Uint8Array(500 * KIB).fill(5), 0)
    await image.close()
    expect(await check(file)).toEqual(CLEAN)
  })

  it('is refused when the image was found to be corrupt: what was to be written is lost', async () => {
    const file = await makeImage()
    view(file).setUint32(l2Of(file) + 4, 0x8200)
    const image = await openQcow2({ file })
    await image.writer!.write(0, new Uint8Array(10), 0).catch(() => {})
    expect(await image.check!.check({ fix: 'errors' })).toMatchObject({ corruptions: 3, corruptionsFixed: 0, checkErrors: 1 })
    await image.close()
    const again = await openQcow2({ file, mode: { forCheck: true } })
    await again.check!.check({ fix: 'errors' })
    expect(await check(file)).toEqual(CLEAN)
    await openQcow2({ file })
  })
})

describe('a repair in which a request to the file fails', () => {
  it.each([
    ['reads', 'read'],
    ['writes', 'write'],
    ['flushes', 'flush'],
  ] as const)('any of its %s: nothing is lost, and another repair completes it', { timeout: 60_000 }, async (_what, which) => {
    const made = (await makeImage({}, true)).content
    const whole = (await guestView(new MemoryChild({ content: made })))!
    for (let seed = 1; seed <= 4; seed++) {
      const broken = corruptBadly(made, new Random(seed + 40), 6).content
      const before = await guestView(new MemoryChild({ content: broken }))
      for (let nth = 0, failed = true; failed; nth++) {
        failed = false
        let left = nth
        const file = new MemoryChild({ content: broken })
        const image = await openQcow2({ file, mode: { forCheck: true } })
        file.before = (op) => {
          if (op !== which || left-- !== 0) return
          failed = true
          throw new BlockError(which === 'write' ? 'no-space' : 'io', 'injected')
        }
        await image.check!.check({ fix: 'errors' }).catch((error: unknown) => {
          if (!isBlockError(error)) throw error
        })
        file.before = undefined
        const where = `seed ${seed}, ${which} ${nth}`
        expect(lost(whole, before, await guestView(file)), where).toBe(null)
        await ourRepair(file, 'errors')
        expect(await check(file), where).toEqual(CLEAN)
        expect(lost(whole, before, await guestView(file)), where).toBe(null)
      }
    }
  })
})

describe.skipIf(!haveReference)('repair, next to the reference', () => {
  const tools = haveReference ? new Reference() : null
  afterAll(() => tools?.[Symbol.dispose]())

  const damages: Readonly<Record<string, { readonly entry: bigint; readonly better?: true }>> = {
    'a COPIED flag': { entry: 0x0000_0000_0001_0000n },
    'a cluster behind the end': { entry: 0x8000_0000_1000_0000n },
    'a cluster that is not aligned': { entry: 0x8000_0000_0001_0200n, better: true },
    'a compressed cluster': { entry: 0x4000_0000_0001_0000n, better: true },
    'reserved bits': { entry: 0x8100_0000_0001_0100n, better: true },
  }
  it.each(Object.entries(damages))('an image with a data file: %s', async (_what, { entry, better }) => {
    tools!.create('d.qcow2', '1M', 'data_file=d.raw')
    tools!.io('d.qcow2', 'write -P 3 0 256k')
    const file = tools!.load('d.qcow2')
    view(file).setBigUint64(l2Of(file) + 8, entry)
    const [theirs] = referenceChecks(tools!, [file.content], 'errors')
    const ours = (await ourRepair(file, 'errors', tools!.load('d.raw')))!
    expect(ours.exit).toBe(0)
    if (better) expect(theirs!.exit).toBe(2)
    else expect(ours).toEqual(theirs)
    expect(referenceChecks(tools!, [file.content], 'none')[0]).toMatchObject({ exit: 0, lines: [] })
  })

  it('too many snapshots, and too much of them', async () => {
    tools!.create('s.qcow2', '1M')
    tools!.io('s.qcow2', 'write 0 64k')
    tools!.img('snapshot', '-c', 'one', 's.qcow2')
    tools!.img('snapshot', '-c', 'two', 's.qcow2')
    const whole = tools!.load('s.qcow2')
    const table = offsetAt(whole, 64)
    const damages: ((file: MemoryChild) => void)[] = [
      (file) => view(file).setUint32(60, 65_540),
      (file) => view(file).setUint32(table + 36, 2000),
      (file) => view(file).setUint32(table + 36, 0x9000_0000),
      (file) => view(file).setUint32(table + 36, 0),
      (file) => view(file).setBigUint64(64, 1n << 40n),
      (file) => view(file).setUint32(table + 8, 0x2000_0000),
      (file) => view(file).setBigUint64(table, 0x30200n),
    ]
    for (const [i, damage] of damages.entries()) {
      const file = new MemoryChild({ content: whole.content })
      damage(file)
      const ours = (await ourRepair(file, 'errors'))!
      expect({ exit: ours.exit, lines: ours.exit === 0 ? [] : ours.lines }, `damage ${i}`).toEqual({ exit: 0, lines: [] })
      expect(referenceChecks(tools!, [file.content], 'none')[0], `damage ${i}`).toMatchObject({ exit: 0, lines: [] })
      const image = await openQcow2({ file })
      expect((await readAll(image)).subarray(0, 4)).toEqual((await readAll(await openQcow2({ file: whole, mode: { readOnly: true } }))).subarray(0, 4))
      await image.close()
    }
  })

  it('a snapshot table that cannot be where it is: both give up, and change nothing', async () => {
    tools!.create('t.qcow2', '1M')
    tools!.img('snapshot', '-c', 'one', 't.qcow2')
    const file = tools!.load('t.qcow2')
    view(file).setBigUint64(64, view(file).getBigUint64(64) + 8n)
    const before = file.content.slice()
    expect(referenceChecks(tools!, [before], 'errors')[0]!.exit).toBe(1)
    expect((await ourRepair(file, 'errors'))!.exit).toBe(1)
    expect(Buffer.compare(file.content, before)).toBe(0)
  })

  it('broken bitmaps: the reference does not open the image, we drop the bitmaps', async () => {
    tools!.create('b.qcow2', '16M')
    tools!.img('bitmap', '--add', 'b.qcow2', 'b0')
    tools!.io('b.qcow2', 'write -P 4 0 64k')
    const file = tools!.load('b.qcow2')
    let at = 112
    while (view(file).getUint32(at) !== 0x2385_2875) at += 8 + Math.ceil(view(file).getUint32(at + 4) / 8) * 8
    view(file).setUint8(offsetAt(file, at + 24) + 16, 9)
    expect(referenceChecks(tools!, [file.content], 'errors')[0]!.exit).toBe(1)
    expect((await ourRepair(file, 'errors'))!.exit).toBe(0)
    expect(referenceChecks(tools!, [file.content], 'none')[0]!.exit).toBe(0)
    expect((await readAll(await openQcow2({ file, mode: { readOnly: true } })))[0]).toBe(4)
  })
})
