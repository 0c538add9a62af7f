import { createGraph, type BlockNode } from '@blockloom/block-core'
import { isBlockError } from '@blockloom/block-driver'
import { raw } from '@blockloom/format-raw'
import { SeededRandom } from '@blockloom/oracle'
import { qcow2 } from '../../src/index.ts'
import { decodeHeaderArea } from '../../src/on-disk/header-area.ts'
import type { Sample } from './corpus.ts'
import { MutantFiles, mutantDriver } from './mutant-disk.ts'
import { mutate } from './mutate.ts'
import { regionsOf, type Region } from './regions.ts'

/** What is done to mutants. */
export type Mode = 'read' | 'write' | 'repair'

interface Target extends Sample {
  readonly regions: readonly Region[]
  readonly clusterSize: number
}

/** Samples and where to damage them. */
export function targetsOf(samples: readonly Sample[]): Target[] {
  return samples.map((sample) => ({ ...sample, regions: regionsOf(sample.image), clusterSize: decodeHeaderArea(sample.image).geometry.clusterSize }))
}

/** Mutant number `seed`: which sample it is made of and its bytes. The same for ever. */
export function makeMutant(targets: readonly Target[], seed: number): { readonly target: Target; readonly image: Uint8Array; readonly random: SeededRandom } {
  const random = new SeededRandom(seed * 7919 + 1)
  const target = targets[seed % targets.length]!
  return { target, image: mutate(random, target.image, target.regions, target.clusterSize), random }
}

/** How it went with a mutant. */
export interface Outcome {
  readonly opened: boolean
  /** BlockErrors after opening. */
  readonly refused: number
  readonly largestRequest: number
}

const MIB = 1 << 20

/** Does everything with a mutant that its facets allow. Throws what is not a BlockError. */
export async function exercise(targets: readonly Target[], seed: number, mode: Mode): Promise<Outcome> {
  const { target, image, random } = makeMutant(targets, seed)
  const files = new MutantFiles({ image, backing: target.backing, data: target.dataFile })
  const graph = createGraph({ drivers: [qcow2, raw, mutantDriver(files)], secrets: () => new TextEncoder().encode(target.secret) })
  let refused = 0
  const attempt = async <T>(work: () => T | Promise<T>): Promise<T | undefined> => {
    try {
      return await work()
    } catch (error) {
      const named = isBlockError(error) && error.message !== '' && typeof error.code === 'string'
      if (!named) throw error
      refused++
      return undefined
    }
  }
  const file = (name: string) => ({ driver: 'mutant', name })
  // Without these the gate is asked, which denies.
  const children = {
    ...(target.backing !== undefined && random.chance(0.8) ? { backing: { driver: 'raw', file: file('backing') } } : {}),
    ...(target.dataFile !== undefined && random.chance(0.9) ? { 'data-file': file('data') } : {}),
  }
  const key = target.secret === undefined ? {} : { 'encrypt.key-secret': 'key' }
  const spec = { driver: 'qcow2', ...key, file: file('image'), ...children }
  const how = { readOnly: mode === 'read', unmap: true, noIo: mode !== 'repair' && random.chance(0.05), forCheck: mode === 'repair' || random.chance(0.25) }
  let node = await attempt(() => graph.openSpec(spec, how))
  const opened = node !== undefined
  if (node !== undefined && mode === 'repair') {
    await repair(node, random, attempt)
    await attempt(() => node!.close())
    // What is repaired is used.
    node = await attempt(() => graph.openSpec(spec, { unmap: true }))
  }
  if (node !== undefined) {
    if (mode !== 'read') await change(node, random, attempt)
    await look(node, random, attempt)
    await attempt(() => node.close())
  }
  await attempt(() => graph.close())
  if (files.allocated > image.length + 96 * MIB) throw new RangeError(`the files take ${files.allocated} bytes`)
  return { opened, refused, largestRequest: files.largest }
}

type Attempt = <T>(work: () => T | Promise<T>) => Promise<T | undefined>

async function look(node: BlockNode, random: SeededRandom, attempt: Attempt): Promise<void> {
  for (const offset of [0, random.below(node.size + 1), Math.max(0, node.size - 9000)]) {
    const bytes = Math.min(random.pick([700, 9000, 65536]), node.size - offset)
    await attempt(() => node.read(offset, new Uint8Array(bytes)))
  }
  let at = 0
  for (let steps = 0; steps < 40 && at < node.size; steps++) {
    const extent = await attempt(() => node.extents(at, node.size - at))
    if (extent !== undefined && !(extent.bytes >= 1 && extent.bytes <= node.size - at)) throw new RangeError(`an extent of ${extent.bytes} bytes`)
    at += extent?.bytes ?? 4096
  }
  await attempt(() => node.info())
  for (const snapshot of node.snapshots?.list().slice(0, 3) ?? []) {
    await attempt(async () => {
      const instance = await node.snapshots!.openReadOnly(snapshot.id)
      const size = await instance.size()
      const bytes = Math.min(size, 40_000)
      await attempt(() => instance.read(0, new Uint8Array(bytes), 0))
      if (size > 0) await attempt(() => instance.extents!(0, size))
      await instance.close()
    })
  }
  for (const bitmap of (await attempt(() => node.bitmaps?.list() ?? [])) ?? []) await attempt(() => node.bitmaps!.load(bitmap.name, () => {}))
  // Never throws for a broken image, so any error is a finding, a BlockError too.
  await node.check?.check({ fix: 'none' })
}

/** Repairs everything; a check then finds nothing, or what the repair said that it could not do. */
async function repair(node: BlockNode, random: SeededRandom, attempt: Attempt): Promise<void> {
  const { check } = node
  if (check?.fixes === undefined) return
  if (random.chance(0.2)) await attempt(() => check.check({ fix: 'leaks' }))
  const repaired = await attempt(() => check.check({ fix: 'errors' }))
  if (repaired === undefined) return
  const lines: string[] = []
  const { corruptions, leaks, checkErrors } = await check.check({ fix: 'none', report: (line) => void lines.push(line) })
  if (repaired.corruptions + repaired.checkErrors > 0 || corruptions + leaks + checkErrors === 0) return
  throw new RangeError(`repaired, but a check finds ${corruptions} corruptions, ${leaks} leaks, ${checkErrors} errors: ${lines.slice(0, 5).join('; ')}`)
}

async function change(node: BlockNode, random: SeededRandom, attempt: Attempt): Promise<void> {
  const cluster = node.limits.clusterSize
  const range = (align: number): [number, number] => {
    const offset = Math.floor(random.below(Math.min(node.size, MIB)) / align) * align
    return [offset, Math.min(node.size - offset, align * Math.ceil((1 + random.below(40_000)) / align))]
  }
  for (let steps = 2 + random.below(8); steps > 0; steps--) {
    if (node.size === 0) break
    const [offset, bytes] = range(random.pick([1, 512, cluster]))
    switch (random.below(11)) {
      case 0:
        await attempt(() => node.zero(offset, bytes))
        break
      case 1:
        await attempt(() => node.discard(offset, bytes))
        break
      case 2: {
        const [start] = range(cluster)
        await attempt(() => node.writeCompressed(start, new Uint8Array(Math.min(cluster, node.size - start)).fill(steps)))
        break
      }
      case 3:
        await attempt(() => node.flush())
        break
      case 4:
        if (random.chance(0.3)) await attempt(() => node.resize(Math.max(0, Math.min(node.size, 64 * MIB) + 512 * (random.below(400) - 200))))
        else await changeNothing(node, random.pick([0, offset, node.size]), attempt)
        break
      case 5:
        await changeSnapshots(node, random, attempt)
        break
      case 6: {
        const fix = random.pick(['leaks', 'errors'] as const)
        // Unlike a check, a repair says what is in its way.
        if (random.chance(0.3) && node.check?.fixes?.includes(fix) === true) await attempt(() => node.check!.check({ fix }))
        break
      }
      case 7:
        await changeBitmaps(node, random, attempt)
        break
      case 8:
        if (random.chance(0.5)) await changeOptions(node, random, attempt)
        break
      default:
        await Promise.all([attempt(() => node.write(offset, random.bytes(bytes))), attempt(() => node.write(...writeOf(random, range(1))))])
    }
  }
  await attempt(() => node.flush())
}

/** Requests of no bytes. */
async function changeNothing(node: BlockNode, offset: number, attempt: Attempt): Promise<void> {
  await attempt(() => node.write(offset, new Uint8Array(0)))
  await attempt(() => node.zero(offset, 0))
  await attempt(() => node.discard(offset, 0))
  await attempt(() => node.writeCompressed(offset, new Uint8Array(0)))
}

function writeOf(random: SeededRandom, [offset, bytes]: [number, number]): [number, Uint8Array] {
  return [offset, new Uint8Array(bytes).fill(random.below(256))]
}

async function changeSnapshots(node: BlockNode, random: SeededRandom, attempt: Attempt): Promise<void> {
  const { snapshots } = node
  if (snapshots?.create === undefined) return
  const known = snapshots.list()
  await node.drained(async () => {
    if (known.length > 0 && random.chance(0.3)) await attempt(() => snapshots.revert!(random.pick(known).id))
    else if (known.length > 0 && random.chance(0.5)) await attempt(() => snapshots.remove!(random.pick(known).id))
    else await attempt(() => snapshots.create!({ name: 'new' }))
  })
}

async function changeOptions(node: BlockNode, random: SeededRandom, attempt: Attempt): Promise<void> {
  switch (random.below(4)) {
    case 0:
      await attempt(() => node.makeEmpty?.())
      break
    case 1:
      await attempt(() => node.backingReference?.change?.(random.pick([null, { filename: 'x'.repeat(random.below(1100)), format: 'raw' }])))
      break
    default: {
      const options = random.pick([{ compat: '0.10' }, { compat: '1.1' }, { refcount_bits: random.pick([1, 8, 16, 64]) }, { lazy_refcounts: random.chance(0.5) }, { size: 512 * random.below(3000) }])
      await attempt(() => node.amend?.amend(options, { progress: () => {} }))
    }
  }
}

async function changeBitmaps(node: BlockNode, random: SeededRandom, attempt: Attempt): Promise<void> {
  const { bitmaps } = node
  const known = (await attempt(() => bitmaps?.list() ?? [])) ?? []
  if (bitmaps?.store === undefined) return
  const name = known.length > 0 && random.chance(0.7) ? random.pick(known).name : 'new'
  if (random.chance(0.4)) await attempt(() => bitmaps.remove!(name))
  else {
    const bits = random.bytes(random.below(9000))
    const content = { name, granularity: random.pick([512, 4096, 65536, 2 ** 31]), auto: true, bits: (offset: number, bytes: number) => (offset < bits.length ? bits.subarray(offset, offset + bytes) : null) }
    await attempt(() => bitmaps.store!([content]))
  }
}
