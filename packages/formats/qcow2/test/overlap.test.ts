import { closeSync, openSync, readSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import type { Instance } from '@blockloom/block-driver'
import { openWriter } from '../src/open-writer.ts'
import { openImage } from '../src/open.ts'
import { SnapshotStore } from '../src/snapshot-store.ts'
import { hostOffset } from '../src/units.ts'
import { readSnapshotTable } from '../src/snapshots.ts'
import { createInMemory } from './harness/create.ts'
import type { MemoryChild } from './harness/memory-child.ts'
import { contextOf, openQcow2 } from './harness/open.ts'
import { haveReference, Reference } from './harness/reference.ts'

const KIB = 1024
const CLUSTER = 64 * KIB
const COPIED = 0x8000_0000_0000_0000n
const OFFSET = 0x00ff_ffff_ffff_fe00n

/** The structures, and the words for them. */
const NAMES = {
  'main-header': 'qcow2_header',
  'active-l1': 'active L1 table',
  'active-l2': 'active L2 table',
  'refcount-table': 'refcount table',
  'refcount-block': 'refcount block',
  'snapshot-table': 'snapshot table',
  'inactive-l1': 'inactive L1 table',
  'inactive-l2': 'inactive L2 table',
  'bitmap-directory': 'bitmap directory',
} as const
type Structure = keyof typeof NAMES
const STRUCTURES = Object.keys(NAMES) as Structure[]
const CONSTANT: readonly Structure[] = ['main-header', 'active-l1', 'refcount-table', 'snapshot-table', 'bitmap-directory']

class Tables {
  readonly view: DataView
  readonly places: Readonly<Record<Structure, number>>

  constructor({ content }: MemoryChild) {
    this.view = new DataView(content.buffer, content.byteOffset, content.byteLength)
    const snapshots = this.u64(64)
    const inactiveL1 = this.u64(snapshots)
    this.places = {
      'main-header': 0,
      'active-l1': this.u64(40),
      'active-l2': this.offset(this.u64(40)),
      'refcount-table': this.u64(48),
      'refcount-block': this.u64(this.u64(48)),
      'snapshot-table': snapshots,
      'inactive-l1': inactiveL1,
      'inactive-l2': this.offset(inactiveL1),
      'bitmap-directory': this.u64(this.#bitmapsExtension() + 24),
    }
  }

  u64(at: number): number {
    return Number(this.view.getBigUint64(at))
  }

  offset(at: number): number {
    return Number(this.view.getBigUint64(at) & OFFSET)
  }

  put(at: number, value: number, flags = 0n): void {
    this.view.setBigUint64(at, BigInt(value) | flags)
  }

  /** Says that nobody uses the cluster at `offset`. */
  free(offset: number): void {
    this.view.setUint16(this.places['refcount-block'] + 2 * (offset / CLUSTER), 0)
  }

  take(offset: number): void {
    this.view.setUint16(this.places['refcount-block'] + 2 * (offset / CLUSTER), 1)
  }

  #bitmapsExtension(): number {
    let at = this.view.getUint32(100)
    while (this.view.getUint32(at) !== 0x23852875) at += 8 + Math.ceil(this.view.getUint32(at + 4) / 8) * 8
    return at
  }
}

/** Damages that lead to a write over a structure, and the guest's request. */
const DAMAGES: Readonly<Record<string, { readonly damage: (tables: Tables, place: number) => void; readonly at: number; readonly zero?: true }>> = {
  'a guest cluster is there': { damage: (tables, place) => tables.put(tables.places['active-l2'], place, COPIED), at: 0 },
  'its refcount is 0': { damage: (tables, place) => tables.free(place), at: 512 * KIB },
  'the L2 table is there': { damage: (tables, place) => tables.put(tables.places['active-l1'], place, COPIED), at: 512 * KIB },
}

describe.runIf(haveReference)('overlap checks', () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())

  tools.create('base.qcow2', '1M')
  tools.io('base.qcow2', 'write -P 1 0 128k')
  tools.img('snapshot', '-c', 's1', 'base.qcow2')
  tools.io('base.qcow2', 'write -P 2 0 64k', 'write -P 3 256k 64k')
  tools.img('bitmap', '--add', 'base.qcow2', 'b0')

  function damaged(damage: (tables: Tables) => void): { child: MemoryChild; tables: Tables } {
    const child = tools.load('base.qcow2')
    const tables = new Tables(child)
    damage(tables)
    return { child, tables: new Tables(child) }
  }

  /** What the reference does: the message, and the file afterwards. */
  function byReference(child: MemoryChild, at: number, options: string): { overlap: string | undefined; corrupt: boolean } {
    tools.save('reference.qcow2', child)
    const said = tools.tryIo(['--image-opts', `driver=qcow2,file.filename=reference.qcow2${options === '' ? '' : `,${options}`}`], `write -P 9 ${at} 64k`)
    // Not all of it: refcounts that were written over lead far away.
    const head = new Uint8Array(80)
    const descriptor = openSync(tools.path('reference.qcow2'), 'r')
    readSync(descriptor, head)
    closeSync(descriptor)
    return { overlap: overlapIn(said), corrupt: isMarked(head) }
  }

  async function byUs(child: MemoryChild, at: number, options: string): Promise<{ overlap: string | undefined; corrupt: boolean; image: Instance }> {
    const parsed = Object.fromEntries(options.split(',').filter((part) => part !== '').map((part) => part.split('=') as [string, string]))
    const image = await openQcow2({ file: child, options: parsed })
    let said = ''
    const note = (error: unknown): void => {
      said += String(error)
    }
    await image.writer!.write(at, new Uint8Array(CLUSTER).fill(9), 0).catch(note)
    await image.writer!.flush('stable').catch(note)
    return { overlap: overlapIn(said), corrupt: isMarked(child.content), image }
  }

  const agreeing = STRUCTURES.flatMap((structure) => Object.keys(DAMAGES).map((how) => [structure, how] as const))
    // To the reference a table at 0 is an assertion, and a cluster at 0 none; and see below.
    .filter(([structure, how]) => structure !== 'main-header' || how === 'its refcount is 0')

  it.each(agreeing)('%s: %s', async (structure, how) => {
    const { damage, at } = DAMAGES[how]!
    const { child, tables } = damaged((t) => damage(t, t.places[structure]))
    const place = tables.places[structure]
    const before = child.content.slice()
    const reference = byReference(child, at, 'overlap-check=all')
    const ours = await byUs(child, at, 'overlap-check=all')
    if (how === 'the L2 table is there' && structure === 'active-l2') {
      expect(ours).toMatchObject({ overlap: undefined, corrupt: false })
      return
    }
    expect([ours.corrupt, reference.corrupt]).toEqual([true, true])
    // Such a table may already be refused for what is in it, or as an L2 table that something else is written to.
    if (how !== 'the L2 table is there') expect([ours.overlap, reference.overlap]).toEqual([NAMES[structure], NAMES[structure]])
    else expect([NAMES[structure], NAMES['active-l2'], undefined]).toContain(ours.overlap)
    // In the header the corrupt bit is set; in the directory the bitmaps are in use.
    const after = child.content
    const changed = changedBytes(before, after, place, CLUSTER)
    expect(changed).toEqual(structure === 'main-header' ? [79] : structure === 'bitmap-directory' && how !== 'the L2 table is there' ? [15] : [])
    await expect(ours.image.writer!.write(768 * KIB, new Uint8Array(512), 0)).rejects.toMatchObject({ code: 'corrupt', errno: 'EIO' })
    await expect(ours.image.zero!(768 * KIB, CLUSTER, 0)).rejects.toMatchObject({ code: 'corrupt' })
    await ours.image.close().catch(() => {})
    expect(changedBytes(before, child.content, place, CLUSTER)).toEqual(changed)
    await expect(openQcow2({ file: child })).rejects.toThrow('qcow2: Image is corrupt; cannot be opened read/write')
  })

  const templates = { none: [], constant: CONSTANT, cached: STRUCTURES.filter((structure) => structure !== 'inactive-l2'), all: STRUCTURES }
  const settings = STRUCTURES.filter((structure) => structure !== 'main-header').flatMap((structure) => [
    ...Object.entries(templates).map(([template, checked]) => [structure, `overlap-check=${template}`, (checked as readonly string[]).includes(structure)] as const),
    [structure, '', structure !== 'inactive-l2'] as const,
    [structure, `overlap-check=all,overlap-check.${structure}=off`, false] as const,
    [structure, `overlap-check.template=none,overlap-check.${structure}=on`, true] as const,
    [structure, `overlap-check.${structure}=${structure === 'inactive-l2' ? 'on' : 'off'}`, structure === 'inactive-l2'] as const,
  ])
  it.each(settings)('a guest cluster at %s, with "%s": refused is %s', async (structure, options, refused) => {
    const { damage, at } = DAMAGES['a guest cluster is there']!
    const { child } = damaged((tables) => damage(tables, tables.places[structure]))
    const reference = byReference(child, at, options)
    const { overlap, corrupt } = await byUs(child, at, options)
    expect({ overlap, corrupt }).toEqual({ overlap: refused ? NAMES[structure] : undefined, corrupt: refused })
    expect(reference).toEqual({ overlap, corrupt })
  })

  it('the header is never allocated, even if nothing is protected', async () => {
    const { child } = damaged((tables) => {
      tables.free(0)
      tables.put(tables.places['active-l1'], 0)
    })
    const reference = tools.load('base.qcow2')
    tools.save('reference.qcow2', child)
    expect(tools.tryIo(['--image-opts', 'driver=qcow2,file.filename=reference.qcow2,overlap-check=none'], 'write 512k 64k')).toContain('at offset 0')
    const image = await openQcow2({ file: child, options: { 'overlap-check': 'none' } })
    await expect(image.writer!.write(512 * KIB, new Uint8Array(CLUSTER), 0)).rejects.toThrow('Preventing invalid allocation of cluster at offset 0')
    expect(changedBytes(reference.content, child.content, 0, 79)).toEqual([])
  })

  it('refcount blocks and tables on other structures are refused too, and nothing there changes', async () => {
    for (const structure of ['active-l1', 'active-l2', 'refcount-table', 'snapshot-table', 'inactive-l1', 'inactive-l2'] as const) {
      for (const pointer of [48, 40, 'refcount block'] as const) {
        const { child, tables } = damaged((t) => t.put(pointer === 'refcount block' ? t.places['refcount-table'] : pointer, t.places[structure]))
        if ((pointer === 48 && structure === 'refcount-table') || (pointer === 40 && structure === 'active-l1')) continue
        const original = tools.load('base.qcow2')
        const place = new Tables(original).places[structure]
        const before = child.content.slice()
        const image = await openQcow2({ file: child, options: { 'overlap-check': 'all' } })
        await image.writer!.write(512 * KIB, new Uint8Array(CLUSTER), 0).catch(() => {})
        await image.close().catch(() => {})
        const what = `${pointer} at ${structure}`
        expect(changedBytes(before, child.content, place, CLUSTER), what).toEqual([])
        expect(changedBytes(before, child.content, tables.places['main-header'], 72), what).toEqual([])
      }
    }
  })

  it('tables of bitmaps are protected like their directory', async () => {
    const { child, tables } = damaged((t) => t.put(t.places['active-l2'], t.u64(t.places['bitmap-directory']), COPIED))
    const place = tables.u64(tables.places['bitmap-directory'])
    const before = child.content.slice()
    const ours = await byUs(child, 0, '')
    expect(ours).toMatchObject({ overlap: 'bitmap table', corrupt: true })
    expect(changedBytes(before, child.content, place, CLUSTER)).toEqual([])
    const open = tools.load('base.qcow2')
    open.content.set(before)
    expect(await byUs(open, 0, 'overlap-check.bitmap-directory=off')).toMatchObject({ overlap: undefined, corrupt: false })
  })

  it('the LUKS header is protected with the main header', async () => {
    const secrets = { s: 'geheim' }
    const child = await createInMemory({ size: '1M', 'encrypt.format': 'luks', 'encrypt.key-secret': 's', 'encrypt.iter-time': 0 }, undefined, secrets)
    const filling = await openQcow2({ file: child, options: { 'encrypt.key-secret': 's' }, secrets })
    await filling.writer!.write(0, new Uint8Array(CLUSTER).fill(1), 0)
    await filling.close()
    const view = new DataView(child.content.buffer, child.content.byteOffset)
    let at = view.getUint32(100)
    while (view.getUint32(at) !== 0x0537be77) at += 8 + Math.ceil(view.getUint32(at + 4) / 8) * 8
    const header = view.getBigUint64(at + 8)
    const l2 = Number(view.getBigUint64(Number(view.getBigUint64(40))) & OFFSET)
    view.setBigUint64(l2, header | COPIED)
    const before = child.content.slice()
    const image = await openQcow2({ file: child, options: { 'encrypt.key-secret': 's' }, secrets })
    await expect(image.writer!.write(0, new Uint8Array(CLUSTER), 0)).rejects.toThrow('overlaps with encryption header')
    expect(changedBytes(before, child.content, Number(header), CLUSTER)).toEqual([])
  })

  it('follows tables as they move: snapshots are taken and removed, their clusters are used again', async () => {
    const child = tools.load('base.qcow2')
    const image = await openQcow2({ file: child, options: { 'overlap-check': 'all' } })
    const step = async (value: number): Promise<void> => {
      for (let at = 0; at < 1024 * KIB; at += CLUSTER) await image.writer!.write(at, new Uint8Array(CLUSTER).fill(value), 0)
    }
    await step(1)
    for (let i = 0; i < 6; i++) {
      await image.snapshots!.create!({ name: `n${i}` })
      await step(2 + i)
      if (i % 2 === 1) await image.snapshots!.remove!(`n${i - 1}`)
      await step(12 + i)
    }
    await image.snapshots!.remove!('s1')
    await image.snapshots!.remove!('n1')
    await step(40)
    await image.close()
    tools.save('moved.qcow2', child)
    tools.check('moved.qcow2')
    expect(tools.raw('moved.qcow2').every((byte) => byte === 40)).toBe(true)
  })

  it('what is new is protected: the L2 table of a snapshot that was just taken', async () => {
    const child = tools.load('base.qcow2')
    const image = await openQcow2({ file: child, options: { 'overlap-check': 'all' } })
    await image.writer!.write(0, new Uint8Array(CLUSTER).fill(7), 0)
    await image.snapshots!.create!({ name: 'new' })
    await image.writer!.write(0, new Uint8Array(CLUSTER).fill(8), 0)
    await image.writer!.flush('stable')
    const tables = new Tables(child)
    // The second entry of the snapshot table; the first has no padding to skip.
    const first = tables.places['snapshot-table']
    const length = 40 + tables.view.getUint32(first + 36) + tables.view.getUint16(first + 12) + tables.view.getUint16(first + 14)
    const l2 = tables.offset(tables.u64(first + Math.ceil(length / 8) * 8))
    expect(l2).not.toBe(tables.places['active-l2'])
    // It is the first that looks free to another instance, which reads the refcounts again.
    for (let at = 0; at < l2; at += CLUSTER) tables.take(at)
    tables.free(l2)
    const other = await openQcow2({ file: child, options: { 'overlap-check': 'all' } })
    await expect(other.writer!.write(512 * KIB, new Uint8Array(CLUSTER), 0)).rejects.toThrow('overlaps with inactive L2 table')
  })

  it('what is new is protected at once: the guest goes on while the snapshot is there', async () => {
    const child = await createInMemory({ size: '128k', cluster_size: 512 })
    const image = await openQcow2({ file: child, options: { 'overlap-check': 'all' } })
    await image.writer!.write(0, new Uint8Array(512).fill(1), 0)
    // In another L2 table.
    await image.writer!.write(32 * KIB, new Uint8Array(512).fill(2), 0)
    await image.snapshots!.create!({ name: 'new' })
    const view = new DataView(child.content.buffer, child.content.byteOffset, child.content.length)
    const l1 = Number(view.getBigUint64(Number(view.getBigUint64(64))))
    const [first, second] = [0, 8].map((entry) => Number(view.getBigUint64(l1 + entry) & OFFSET))
    await image.writer!.write(0, new Uint8Array(512).fill(3), 0)
    await image.writer!.flush('stable')
    // The second table is shared, and not in memory any more; the first is the snapshot's alone.
    new DataView(child.content.buffer, child.content.byteOffset).setBigUint64(second!, BigInt(first!) | COPIED)
    const before = child.content.slice(first, first! + 512)
    await expect(image.writer!.write(32 * KIB, new Uint8Array(512).fill(4), 0)).rejects.toThrow('overlaps with inactive L2 table')
    expect(child.content.subarray(first, first! + 512)).toEqual(before)
  })

  it('what is gone is not protected any more', async () => {
    const child = tools.load('base.qcow2')
    const tables = new Tables(child)
    const image = await openImage(contextOf({ file: child, options: { 'overlap-check': 'all' } }), async () => {})
    const { entries, bytes } = await readSnapshotTable(image)
    const store = new SnapshotStore(entries, bytes)
    const { overlap } = await openWriter(image, store)
    const at = (structure: Structure): string | undefined => overlap.find(tables.places[structure] / CLUSTER, 1)
    expect(overlap.mustLearn).toBe(true)
    expect(at('inactive-l2')).toBeUndefined()
    await overlap.learn()
    expect([overlap.mustLearn, at('inactive-l2'), at('inactive-l1'), at('snapshot-table')]).toEqual([false, 'inactive L2 table', 'inactive L1 table', 'snapshot table'])
    store.replace([], 0)
    expect([overlap.mustLearn, at('inactive-l2'), at('inactive-l1'), at('snapshot-table')]).toEqual([false, undefined, undefined, undefined])
  })

  it('L1 tables of snapshots that lie over each other, and far behind the end of the file, are read once and not for ever', async () => {
    const child = tools.load('base.qcow2')
    const tables = new Tables(child)
    const image = await openImage(contextOf({ file: child, options: { 'overlap-check': 'all' } }), async () => {})
    const { entries } = await readSnapshotTable(image)
    const hostile = Array.from({ length: 5000 }, (_, i) => ({ ...entries[0]!, l1Offset: hostOffset((i % 50) * CLUSTER), l1Entries: (32 * 1024 * KIB) / 8 }))
    const { overlap } = await openWriter(image, new SnapshotStore(hostile, 0))
    let read = 0
    child.before = (op, _offset, bytes) => {
      if (op === 'read') read += bytes
    }
    await overlap.learn()
    expect(read).toBeLessThanOrEqual(child.size())
    expect(overlap.find(tables.places['inactive-l2'] / CLUSTER, 1)).toBe('inactive L1 table')
    expect(overlap.find((64 * 1024 * KIB) / CLUSTER, 1)).toBeUndefined()
  })

  it('an image whose snapshot is impossible is not written while L2 tables of snapshots are to be protected', async () => {
    const { child } = damaged((tables) => tables.put(tables.places['snapshot-table'], tables.places['inactive-l1'] + 512))
    const before = child.content.slice()
    const image = await openQcow2({ file: child, options: { 'overlap-check': 'all' } })
    await expect(image.writer!.write(0, new Uint8Array(512), 0)).rejects.toMatchObject({ code: 'corrupt', message: 'Snapshot L1 table offset invalid' })
    await image.read(0, new Uint8Array(512), 0)
    await image.close()
    expect(changedBytes(before, child.content, CLUSTER, child.content.length - CLUSTER).length).toBeLessThanOrEqual(1)
    const cached = await openQcow2({ file: child })
    await cached.writer!.write(0, new Uint8Array(512), 0)
    await cached.close()
  })

  it('options that contradict each other are refused', async () => {
    const file = tools.load('base.qcow2')
    const refusal = (options: Record<string, unknown>) => openQcow2({ file, options }).then(() => 'accepted', (error: Error) => error.message)
    expect(await refusal({ 'overlap-check': 'all', 'overlap-check.template': 'cached' })).toBe("Conflicting values for option 'overlap-check.template' ('all' and 'cached')")
    expect(await refusal({ 'overlap-check': 'some' })).toBe("Parameter 'overlap-check.template' does not accept value 'some'")
    expect(await refusal({ 'overlap-check.activel1': 'on' })).toBe("Invalid parameter 'overlap-check.activel1'")
  })
})

function overlapIn(said: string): string | undefined {
  return /overlaps with ([^)]*)\)/.exec(said)?.[1]
}

function isMarked(head: Uint8Array): boolean {
  return (head[79]! & 2) !== 0
}

/** Offsets, from `at` on, of the bytes that differ. */
function changedBytes(before: Uint8Array, after: Uint8Array, at: number, bytes: number): number[] {
  const changed: number[] = []
  for (let i = 0; i < bytes && at + i < Math.max(before.length, after.length); i++) if (before[at + i] !== after[at + i]) changed.push(i)
  return changed
}
