import type { Instance } from '@blockloom/block-driver'
import { afterAll, describe, expect, it } from 'vitest'
import { haveReference, Reference } from '../harness/reference.ts'
import { crashEverywhere, failEverywhere, type Files } from './power-loss.ts'
import { amend, contents, differing, StartingImages, type Starting } from './reference-amend.ts'

const SIZE = '256k'
const DATA = ['write -P 1 0 60k', 'write -z 8k 24k', 'write -P 2 150k 12345', 'write -z -u 180k 16k']
const SNAPSHOTS = ['write -P 1 0 90k', 'write -z 16k 16k', '!one', 'write -z 32k 16k', 'write -P 3 60k 30k', 'write -z 160k 16k', '!two', 'write -z 0 16k', 'write -P 4 200k 20k', 'write -z 160k 16k']

interface Scenario extends Starting {
  readonly amend: string
  readonly image?: Readonly<Record<string, unknown>>
}

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'up to version 3': { options: 'compat=0.10,cluster_size=4k', before: SNAPSHOTS, amend: 'compat=1.1' },
  'up to version 3, small clusters, a backing file': { options: 'compat=0.10,cluster_size=512', before: DATA, backing: true, amend: 'compat=1.1' },
  'down to version 2': { options: 'cluster_size=4k', before: DATA, amend: 'compat=0.10' },
  'down to version 2, a backing file': { options: 'cluster_size=4k', before: DATA, backing: true, amend: 'compat=0.10' },
  'down to version 2, snapshots': { options: 'cluster_size=4k', before: SNAPSHOTS, amend: 'compat=0.10' },
  'down to version 2, snapshots, a backing file, the smallest caches': {
    options: 'cluster_size=2k', before: SNAPSHOTS, backing: true, amend: 'compat=0.10', image: { 'l2-cache-size': 0, 'refcount-cache-size': 0, 'l2-cache-entry-size': 512 },
  },
  'wider refcounts': { options: 'cluster_size=512', before: SNAPSHOTS, amend: 'refcount_bits=64' },
  'narrower refcounts': { options: 'cluster_size=512,refcount_bits=64', before: SNAPSHOTS, amend: 'refcount_bits=2' },
  'refcounts of 1 bit': { options: 'cluster_size=1k', before: DATA, amend: 'refcount_bits=1' },
  'lazy refcounts': { options: 'cluster_size=4k', before: DATA, amend: 'lazy_refcounts=on' },
  'no lazy refcounts': { options: 'cluster_size=4k,lazy_refcounts=on', before: DATA, amend: 'lazy_refcounts=off' },
  'the data file': { options: 'cluster_size=4k', before: DATA, dataFile: true, amend: 'data_file=some other name with more letters than before.raw' },
  'the raw data file': { options: 'cluster_size=4k,data_file_raw=on', before: DATA, dataFile: true, amend: 'data_file_raw=off' },
  'everything': { options: 'compat=0.10,cluster_size=1k', before: SNAPSHOTS, amend: 'compat=1.1,refcount_bits=8,lazy_refcounts=on,size=300k' },
  'everything back': { options: 'cluster_size=1k,refcount_bits=8,lazy_refcounts=on', before: SNAPSHOTS, backing: true, amend: 'compat=0.10,refcount_bits=16,lazy_refcounts=off' },
}

describe.runIf(haveReference)('amending', { timeout: 60_000 }, () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())
  const images = new StartingImages(tools)

  async function start({ options, before: commands = [], backing = false, dataFile = false }: Scenario): Promise<{ files: Files; before: ReadonlyMap<string, Uint8Array> }> {
    const { file, data, before } = await images.make({ options, before: commands, backing, dataFile, size: SIZE })
    return { before, files: { file, ...(data && { dataFile: data }), ...(backing && { backing: tools.load('base.raw').content }) } }
  }

  /** The guest's bytes are what they were; the disk may have become larger. */
  async function changed(image: Instance, before: ReadonlyMap<string, Uint8Array>): Promise<string | null> {
    const found = new Map(await contents(image))
    const disk = found.get('')!
    const old = before.get('')!
    if (disk.subarray(old.length).some((byte) => byte !== 0)) return 'there is something in the new part of the disk'
    found.set('', disk.subarray(0, old.length))
    const names = differing(found, before)
    return names.length === 0 ? null : `these differ: ${names.map((name) => name || 'the disk').join(', ')}`
  }

  for (const [index, [what, scenario]] of Object.entries(SCENARIOS).entries()) {
    it(`changes no byte of the guest when the power fails: ${what}`, async () => {
      const { files, before } = await start(scenario)
      const points = await crashEverywhere(tools, {
        files,
        seed: 100 + index,
        everyReference: 60,
        options: scenario.image ?? {},
        run: async (image) => {
          await amend(image, scenario.amend)
          await image.writer!.flush('stable')
        },
        judge: (image) => changed(image, before),
      })
      expect(points).toBeGreaterThan(8)
    })

    it(`changes no byte of the guest when a request fails, and works later: ${what}`, async () => {
      const { files, before } = await start(scenario)
      const failures = await failEverywhere(tools, {
        files,
        options: scenario.image ?? {},
        run: async (image) => {
          await amend(image, scenario.amend)
          await image.writer!.flush('stable')
        },
        judgeFailed: (image) => changed(image, before),
        judge: async (image) => {
          const wrong = await changed(image, before)
          if (wrong !== null) return wrong
          const data = before.get('')!.slice(70_000, 90_000)
          await image.writer!.write(70_000, data, 0)
          await image.writer!.flush('stable')
          const { corruptions, checkErrors } = await image.check!.check({ fix: 'none' })
          return corruptions + checkErrors === 0 ? null : `a check finds ${corruptions} corruptions`
        },
      })
      expect(failures).toBeGreaterThan(2)
    })
  }
})
