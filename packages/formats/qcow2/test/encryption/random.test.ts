import { createGraph, type BlockNode } from '@blockloom/block-core'
import { isBlockError } from '@blockloom/block-driver'
import { SeededRandom } from '@blockloom/oracle'
import { createMemoryDisk, memoryDriver, type MemoryDisk } from '@blockloom/protocol-memory'
import { afterAll, describe, expect, it } from 'vitest'
import { qcow2 } from '../../src/index.ts'
import { MemoryChild } from '../harness/memory-child.ts'
import { haveReference, Reference } from '../harness/reference.ts'
import { fill } from '../harness/workload.ts'
import { AES, createEncrypted, LUKS, PASSPHRASE, referenceCheck, referenceRaw } from './encrypted-images.ts'

const KIB = 1024
const SIZE = 300 * KIB
const ROUNDS = 12
const SMALL = `${LUKS},encrypt.cipher-alg=aes-128,encrypt.cipher-mode=cbc`

/** Creation options; the image keeps nothing in its caches if they say so. */
const LAYOUTS: readonly (readonly [options: string, open?: Readonly<Record<string, unknown>>])[] = [
  [LUKS],
  [`${SMALL},cluster_size=512`, { 'l2-cache-size': 0, 'l2-cache-entry-size': 512, 'refcount-cache-size': 0 }],
  [`${SMALL},extended_l2=on,cluster_size=16k`],
  [`${SMALL},preallocation=metadata,cluster_size=4k`],
  [`${LUKS},data_file=data`],
  [`${AES},cluster_size=2k`],
  [`${AES},compat=0.10,cluster_size=4k,preallocation=metadata`],
  [`${AES},extended_l2=on,cluster_size=32k`],
]

describe.runIf(haveReference)('random work on encrypted images', () => {
  const reference = new Reference()
  afterAll(() => reference[Symbol.dispose]())

  it.each(LAYOUTS.map(([options, open], index) => ({ options, open, index })))('$options', { timeout: 60_000 }, async ({ options, open, index }) => {
    const seed = Number(process.env['ENCRYPTION_SEED'] ?? 1) * 100 + index
    const random = new SeededRandom(seed)
    const files = new Map<string, MemoryChild>()
    const disks = new Map<string, MemoryDisk>([['image', createMemoryDisk((await createEncrypted(SIZE, options, files)).content)]])
    const dataFile = files.get('data')
    if (dataFile !== undefined) disks.set('data', createMemoryDisk(dataFile.content))
    const spec = {
      driver: 'qcow2', ...open, 'encrypt.key-secret': 's', file: { driver: 'memory', name: 'image' },
      ...(dataFile === undefined ? {} : { 'data-file': { driver: 'memory', name: 'data' } }),
    }
    let model = new Uint8Array(SIZE)
    const snapshots = new Map<string, Uint8Array>()
    for (let round = 0; round < ROUNDS; round++) {
      await using graph = createGraph({ drivers: [qcow2, memoryDriver(disks)], secrets: () => new TextEncoder().encode(PASSPHRASE) })
      const node = await graph.openSpec(spec, { unmap: true })
      const where = `seed ${seed}, round ${round}`
      for (const [name, content] of snapshots) expect(await snapshotContent(node, name), `${where}, ${name}`).toBe(hash(content))
      await work(node, random, model)
      expect(hash(await contentOf(node)), where).toBe(hash(model))
      if (node.snapshots?.create !== undefined && dataFile === undefined) {
        const [first] = snapshots.keys()
        if (snapshots.size < 2) {
          await node.snapshots.create({ name: `s${round}`, dateSec: 1, dateNsec: 0 })
          snapshots.set(`s${round}`, model.slice())
        } else if (random.chance(0.5)) {
          await node.snapshots.revert!(first!)
          model = snapshots.get(first!)!.slice()
          expect(hash(await contentOf(node)), `${where}, reverted`).toBe(hash(model))
        } else {
          await node.snapshots.remove!(first!)
          snapshots.delete(first!)
        }
      }
      if (round === ROUNDS / 2 && (snapshots.size === 0 || !options.includes('compat=0.10'))) {
        await node.resize(SIZE + 70 * KIB, { preallocation: random.pick(['off', 'metadata']) })
        model = new Uint8Array(node.size)
        model.set(await contentOf(node))
        expect(model.subarray(SIZE).every((byte) => byte === 0), `${where}, resized`).toBe(true)
      }
      await node.close()
    }
    for (const [name, disk] of disks) reference.save(name, new MemoryChild({ content: disk.toBytes() }))
    referenceCheck(reference, 'image')
    expect(hash(referenceRaw(reference, 'image')), `seed ${seed}: the reference reads something else`).toBe(hash(model))
  })
})

/** Requests of all kinds at the same time, in places that do not overlap. */
async function work(node: BlockNode, random: SeededRandom, model: Uint8Array): Promise<void> {
  const cluster = node.limits.clusterSize
  for (let batch = 0; batch < 3; batch++) {
    const requests: Promise<void>[] = []
    for (let at = random.below(model.length / 2); at < model.length && requests.length < 12; ) {
      const align = random.pick([1, 512, cluster])
      const offset = Math.ceil(at / align) * align
      const bytes = Math.min(random.pick([1, 700, cluster, 5 * cluster]), model.length - offset)
      if (bytes <= 0) break
      const part = model.subarray(offset, offset + bytes)
      const kind = random.below(8)
      if (kind < 5) {
        const data = fill(new Uint8Array(bytes), offset, random.below(200))
        part.set(data)
        // The caller's buffer stays as it is.
        requests.push(node.write(offset, data).then(() => expect(hash(data)).toBe(hash(part.slice()))))
      } else if (kind < 7) {
        part.fill(0)
        requests.push(node.zero(offset, bytes, random.pick([0, 2])))
      } else {
        requests.push(discard(node, offset, bytes, part))
      }
      at = offset + bytes + (random.chance(0.5) ? 0 : random.below(2 * cluster))
    }
    await Promise.all(requests)
    if (random.chance(0.5)) await node.flush()
  }
}

/** What is discarded reads as zeroes or as before. */
async function discard(node: BlockNode, offset: number, bytes: number, part: Uint8Array): Promise<void> {
  try {
    await node.discard(offset, bytes)
  } catch (error) {
    if (!isBlockError(error, 'unsupported')) throw error
  }
  const found = new Uint8Array(bytes)
  await node.read(offset, found)
  if (found.some((byte, i) => byte !== 0 && byte !== part[i])) throw new Error(`discarded ${offset}+${bytes} reads as something else`)
  part.set(found)
}

async function contentOf(node: BlockNode): Promise<Uint8Array> {
  const all = new Uint8Array(node.size)
  await node.read(0, all)
  return all
}

async function snapshotContent(node: BlockNode, name: string): Promise<string> {
  const instance = await node.snapshots!.openReadOnly(name)
  const all = new Uint8Array(await instance.size())
  await instance.read(0, all, 0)
  return hash(all)
}

/** Enough to tell contents apart, and short in a failure. */
function hash(bytes: Uint8Array): string {
  let sum = 0x811c9dc5
  for (const byte of bytes) sum = Math.imul(sum ^ byte, 0x01000193)
  return `${bytes.length} bytes, ${(sum >>> 0).toString(16)}`
}
