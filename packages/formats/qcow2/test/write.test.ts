import { afterAll, describe, expect, it } from 'vitest'
import { MemoryChild } from './harness/memory-child.ts'
import { openQcow2, readAll } from './harness/open.ts'
import { Random } from './harness/random.ts'
import { haveReference, Reference } from './harness/reference.ts'
import { applyToModel, perform, pickOperations } from './harness/workload.ts'

/** Where two byte arrays differ first, or -1. */
function firstDifference(a: Uint8Array, b: Uint8Array): number {
  if (Buffer.compare(a, b) === 0) return -1
  for (let i = 0; i < Math.max(a.length, b.length); i++) if (a[i] !== b[i]) return i
  return -1
}

const SIZE = 6 * 1024 * 1024 + 1536

const layouts: Record<string, { options: string; image?: Record<string, unknown>; backing?: boolean; dataFile?: boolean }> = {
  'version 3': { options: 'compat=1.1' },
  'version 2': { options: 'compat=0.10' },
  '4k clusters, small caches': { options: 'cluster_size=4k', image: { 'l2-cache-size': 8192, 'refcount-cache-size': 8192, 'l2-cache-entry-size': 512 } },
  '512-byte clusters': { options: 'cluster_size=512' },
  '512-byte clusters, 64-bit refcounts': { options: 'cluster_size=512,refcount_bits=64' },
  '1-bit refcounts': { options: 'refcount_bits=1,cluster_size=4k' },
  '2 MiB clusters': { options: 'cluster_size=2M' },
  'a backing file': { options: 'cluster_size=16k', backing: true },
  'extended L2': { options: 'extended_l2=on,cluster_size=16k' },
  'extended L2 and a backing file': { options: 'extended_l2=on,cluster_size=32k', backing: true },
  zstd: { options: 'compression_type=zstd,cluster_size=8k' },
  'a data file': { options: 'cluster_size=8k', dataFile: true },
  'a raw data file': { options: 'cluster_size=8k,data_file_raw=on', dataFile: true },
}

describe.runIf(haveReference)('writing', () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())

  for (const [what, layout] of Object.entries(layouts)) {
    for (const seed of [1]) {
      it(`stores what was written, in an image with ${what} (seed ${seed})`, async () => {
        const random = new Random(seed)
        const name = `${what.replaceAll(/\W/g, '-')}-${seed}.qcow2`
        const model = new Uint8Array(SIZE)
        const more: string[] = []
        if (layout.backing) {
          tools.create(`${name}.base`, String(SIZE - 512 * 1024))
          tools.io(`${name}.base`, 'write -P 0x42 0 3M', 'write -P 0x43 5M 100k')
          model.set(tools.raw(`${name}.base`))
          more.push('-b', `${name}.base`, '-F', 'qcow2')
        }
        tools.create(name, String(SIZE), layout.options + (layout.dataFile ? `,data_file=${name}.data` : ''), more)
        const file = tools.load(name)
        const dataFile = layout.dataFile ? tools.load(`${name}.data`) : undefined
        // Some requests overtake others.
        const shuffle = async (): Promise<void> => {
          for (let turns = random.below(4); turns > 0; turns--) await Promise.resolve()
          if (random.chance(0.1)) await new Promise((resolve) => setImmediate(resolve))
        }
        file.before = shuffle
        if (dataFile !== undefined) dataFile.before = shuffle
        const image = await openQcow2({
          file,
          ...(layout.backing ? { backing: new MemoryChild({ content: tools.raw(`${name}.base`) }) } : {}),
          ...(dataFile === undefined ? {} : { dataFile }),
          options: layout.image ?? {},
        })
        const limits = {
          zero: image.limits.zeroAlignment,
          discard: image.limits.discardAlignment,
          cluster: image.limits.clusterSize,
          compress: image.compress !== undefined,
          // In version 2 the backing file shows through discarded clusters.
          discards: true,
        }
        for (let round = 0; round < 40; round++) {
          const operations = pickOperations(random, SIZE, limits, 24, round * 100)
          const results = operations.map((operation) => perform(image, operation))
          if (random.chance(0.3)) results.push(image.writer!.flush(random.chance(0.5) ? 'stable' : 'host'))
          await Promise.all(results)
          for (const operation of operations) applyToModel(model, operation)
          if (round % 8 === 7) expect(firstDifference(await readAll(image, 100_000), model), `seed ${seed}, round ${round}`).toBe(-1)
        }
        await image.writer!.flush('stable')
        await image.close()
        tools.save(name, file)
        if (dataFile !== undefined) tools.save(`${name}.data`, dataFile)
        tools.check(name)
        expect(firstDifference(tools.raw(name), model), `seed ${seed}, read by the reference`).toBe(-1)
        if (layout.options.includes('data_file_raw')) expect(firstDifference(dataFile!.content.subarray(0, SIZE), model)).toBe(-1)
      })
    }
  }
})
