import type { BlockNode, DirtyBitmap } from '@blockloom/block-core'
import { createRandom, createVirtualContext, type SeededRandom, type VirtualContext } from '@blockloom/coroutine-scheduler'
import { expect, test } from 'vitest'
import { BitmapDisk } from './bitmap-disk.ts'

const SIZE = 96 * 1024
const LARGEST = 8192

/** What a bitmap should hold: one byte for each byte of the disk, 1 where a request ended. */
interface Model {
  readonly granularity: number
  enabled: boolean
  bytes: Uint8Array
}

const seedOfRun = Number(process.env['BLOCKLOOM_SEED'] ?? Math.floor(Math.random() * 1e9))

/** A disk that takes its time, and fails now and then, half way. */
function unreliable(disk: BitmapDisk, context: VirtualContext, random: SeededRandom): void {
  disk.before = async (what, offset, bytes) => {
    await context.sleep(random.float() * 5)
    const isGuest = what === 'write' || what === 'zero' || what === 'discard'
    if (!isGuest || !random.chance(0.1)) return
    disk.bytes.fill(random.below(256), offset, offset + Math.floor(bytes / 2))
    throw new Error('I/O error')
  }
}

/** One random request; returns what it was about. */
async function request(node: BlockNode, random: SeededRandom, size: number): Promise<{ offset: number; bytes: number }> {
  const offset = random.below(size)
  const bytes = random.below(Math.min(LARGEST, size - offset) + 1)
  const work = [
    () => node.write(offset, new Uint8Array(bytes).fill(random.below(256))),
    () => node.zero(offset, bytes),
    () => node.discard(offset, bytes),
    () => node.read(offset, new Uint8Array(bytes)),
  ]
  const which = random.below(work.length)
  await work[which]!().catch((error: unknown) => expect((error as Error).message).toBe('I/O error'))
  return { offset, bytes: which === 3 ? 0 : bytes }
}

/** Granules of a model, one byte each. */
function granules({ granularity, bytes }: Model): boolean[] {
  return Array.from({ length: Math.ceil(bytes.length / granularity) }, (_, i) => bytes.subarray(i * granularity, (i + 1) * granularity).includes(1))
}

function granulesOf(bitmap: DirtyBitmap): boolean[] {
  return Array.from({ length: Math.ceil(bitmap.size / bitmap.granularity) }, (_, i) => bitmap.get(i * bitmap.granularity))
}

/** Rounds of concurrent requests, and between them changes of the bitmaps, sizes, and openings. */
async function life(seed: number): Promise<void> {
  const context = createVirtualContext({ seed })
  const random = createRandom(seed)
  const disk = new BitmapDisk(SIZE)
  unreliable(disk, context, random.fork())
  disk.chunk = random.pick([1, 5, 8, 64, 512])
  const models = new Map<string, Model>()
  await context.run(async () => {
    let node = await disk.open({ clock: context })
    for (let round = 0; round < 12; round++) {
      const label = `BLOCKLOOM_SEED=${seed} round ${round}`
      const writers = Array.from({ length: 8 }, () => context.spawn('writer', async () => request(node, random, disk.bytes.length)))
      for (const writer of writers) {
        const { offset, bytes } = await writer
        for (const model of models.values()) if (model.enabled) model.bytes.fill(1, offset, offset + bytes)
      }
      await change(node, models, random)
      if (random.chance(0.3)) {
        await node.close()
        expect([...disk.bitmaps.values()].some(({ inUse }) => inUse), label).toBe(false)
        node = await disk.open({ clock: context })
      }
      expect(node.dirtyBitmaps.list.map(({ name }) => name), label).toEqual([...models.keys()])
      for (const [name, model] of models) {
        const bitmap = node.dirtyBitmaps.get(name)
        expect(bitmap.enabled, `${label} ${name}`).toBe(model.enabled)
        expect(granulesOf(bitmap), `${label} ${name}`).toEqual(granules(model))
        expect(bitmap.count, `${label} ${name}`).toBe(granules(model).filter(Boolean).length)
      }
    }
    await node.close()
  })
}

async function change(node: BlockNode, models: Map<string, Model>, random: SeededRandom): Promise<void> {
  const name = `b${random.below(4)}`
  const model = models.get(name)
  if (model === undefined) {
    const granularity = random.pick([512, 1024, 4096, 65536])
    const enabled = random.chance(0.8)
    node.dirtyBitmaps.add({ name, granularity, enabled, persistent: true })
    models.set(name, { granularity, enabled, bytes: new Uint8Array(node.size) })
    return
  }
  const bitmap = node.dirtyBitmaps.get(name)
  switch (random.below(7)) {
    case 0:
      bitmap.clear()
      model.bytes.fill(0)
      break
    case 1:
      if (model.enabled) bitmap.disable()
      else bitmap.enable()
      model.enabled = !model.enabled
      break
    case 2: {
      const other = `b${random.below(4)}`
      const source = models.get(other)
      if (source === undefined) break
      await node.dirtyBitmaps.merge(name, [other])
      granules(source).forEach((dirty, i) => {
        if (dirty) model.bytes.fill(1, i * source.granularity, (i + 1) * source.granularity)
      })
      break
    }
    case 3:
      await node.dirtyBitmaps.remove(name)
      models.delete(name)
      break
    case 4: {
      const size = random.between(1, SIZE / 512) * 512
      await node.resize(size)
      for (const each of models.values()) {
        // What a whole granule remembers comes back when the disk grows inside it.
        const dirty = granules(each)
        const bytes = new Uint8Array(size)
        const kept = Math.ceil(Math.min(size, each.bytes.length) / each.granularity)
        for (let i = 0; i < kept; i++) if (dirty[i]) bytes.fill(1, i * each.granularity, (i + 1) * each.granularity)
        each.bytes = bytes
      }
      break
    }
    case 5: {
      const frozen = bitmap.freeze()
      if (random.chance(0.5)) {
        frozen.drop()
        model.bytes.fill(0)
      } else frozen.restore()
      break
    }
  }
}

test('bitmaps agree with a model, through concurrent requests, failures, changes and openings', async () => {
  for (let i = 0; i < 40; i++) await life(seedOfRun + i)
})

test('a copy that follows a bitmap ends up the same, whatever is written meanwhile', async () => {
  for (let i = 0; i < 40; i++) {
    const seed = seedOfRun + i
    const context = createVirtualContext({ seed })
    const random = createRandom(seed)
    const disk = new BitmapDisk(SIZE)
    unreliable(disk, context, random.fork())
    const copy = disk.bytes.slice()
    await context.run(async () => {
      const node = await disk.open({ clock: context })
      const bitmap = node.dirtyBitmaps.add({ granularity: random.pick([512, 4096]) })
      const writers = Array.from({ length: 4 }, () =>
        context.spawn('writer', async () => {
          for (let n = 0; n < 20; n++) {
            await request(node, random, SIZE)
            await context.sleep(random.float() * 3)
          }
        }),
      )
      let writing = true
      const copier = context.spawn('copier', async () => {
        while (writing || !bitmap.isEmpty) {
          for (const { offset, bytes } of bitmap.dirtyAreas({ maxBytes: 4096 })) {
            bitmap.reset(offset, bytes)
            await node.read(offset, copy.subarray(offset, offset + bytes))
          }
          await context.sleep(1)
        }
      })
      for (const writer of writers) await writer
      writing = false
      await copier
      await node.close()
    })
    expect(Buffer.compare(copy, disk.bytes), `BLOCKLOOM_SEED=${seed}`).toBe(0)
  }
})

test('what changed since a bitmap was cleared is in it after a crash-free end, and nothing is trusted after a crash', async () => {
  for (let i = 0; i < 20; i++) {
    const seed = seedOfRun + i
    const random = createRandom(seed)
    const disk = new BitmapDisk(SIZE)
    const crash = random.chance(0.5)
    const node = await disk.open()
    node.dirtyBitmaps.add({ name: 'b', granularity: 4096, persistent: true })
    await node.close()
    const before = disk.bytes.slice()
    const again = await disk.open()
    await Promise.all(Array.from({ length: 6 }, () => request(again, random, SIZE)))
    if (!crash) await again.close()
    const after = await disk.open({ readOnly: true })
    const bitmap = after.dirtyBitmaps.get('b')
    const isChanged = Buffer.compare(before, disk.bytes) !== 0
    if (crash) {
      if (isChanged) expect(bitmap.inconsistent, `BLOCKLOOM_SEED=${seed}`).toBe(true)
      continue
    }
    await bitmap.load()
    for (let at = 0; at < SIZE; at++) {
      if (before[at] !== disk.bytes[at]) expect(bitmap.get(at), `BLOCKLOOM_SEED=${seed} at ${at}`).toBe(true)
    }
  }
})
