import { isBlockError, type Instance } from '@blockloom/block-driver'
import { afterAll, describe, expect, it } from 'vitest'
import { openQcow2, readAll } from './harness/open.ts'
import { Random } from './harness/random.ts'
import { haveReference, Reference } from './harness/reference.ts'
import { applyToModel, perform, pickOperations } from './harness/workload.ts'

const SIZE = 1024 * 1024

const layouts = [
  'cluster_size=64k',
  'cluster_size=4k',
  'compat=0.10,cluster_size=4k',
  'cluster_size=512,refcount_bits=64',
  'cluster_size=2k,refcount_bits=4',
  'cluster_size=1k,refcount_bits=8',
  'cluster_size=4k,refcount_bits=32,compression_type=zstd',
  'extended_l2=on,cluster_size=16k',
]

function limitsOf(image: Instance) {
  return { zero: image.limits.zeroAlignment, discard: image.limits.discardAlignment, cluster: image.limits.clusterSize, compress: true, discards: true }
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

describe.runIf(haveReference)('internal snapshots', () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())

  for (const [index, options] of layouts.entries()) {
    it(`keep what the disk was, whatever is done to it (${options})`, { timeout: 30_000 }, async () => {
      const seed = Number(process.env['SNAPSHOT_SEED'] ?? 1) * 100 + index
      const random = new Random(seed)
      // Several compressed clusters in one host cluster, and snapshots of them, are too much for four bits.
      const isOverflow = (error: unknown): boolean => options.includes('refcount_bits=4') && isBlockError(error, 'invalid')
      const name = `random-${index}.qcow2`
      tools.create(name, String(SIZE), options)
      const file = tools.load(name)
      const settings = random.chance(0.5) ? { 'l2-cache-size': 16384, 'refcount-cache-size': 8192, 'l2-cache-entry-size': 512 } : {}
      let image = await openQcow2({ file, options: settings })
      let model = new Uint8Array(SIZE)
      const snapshots: { id: string; content: Uint8Array; state: Uint8Array }[] = []
      for (let round = 0; round < 24; round++) {
        const where = `seed ${seed}, round ${round}`
        const operations = pickOperations(random, SIZE, limitsOf(image), 10, round * 100)
        await Promise.all(operations.map((operation) => perform(image, operation)))
        for (const operation of operations) applyToModel(model, operation)
        const what = random.below(6)
        if (what <= 1 && snapshots.length < 6) {
          const state = new Uint8Array(random.chance(0.3) ? random.below(40_000) : 0).fill(round + 1)
          const made = image.snapshots!.create!({ name: `s${round}`, dateSec: 1_600_000_000 + round, ...(state.length > 0 ? { vmState: state } : {}) })
          const info = await made.catch((error: unknown) => {
            if (isOverflow(error)) return null
            throw error
          })
          if (info === null) continue
          expect(info, where).toMatchObject({ name: `s${round}`, vmStateSize: state.length, diskSize: SIZE, dateSec: 1_600_000_000 + round })
          snapshots.push({ id: info.id, content: model.slice(), state })
        } else if (what === 2 && snapshots.length > 0) {
          const snapshot = random.pick(snapshots)
          const reverted = await image.snapshots!.revert!(snapshot.id).then(
            () => true,
            (error: unknown) => {
              if (isOverflow(error)) return false
              throw error
            },
          )
          if (reverted) model = snapshot.content.slice()
        } else if (what === 3 && snapshots.length > 0) {
          const [snapshot] = snapshots.splice(random.below(snapshots.length), 1)
          await image.snapshots!.remove!(snapshot!.id)
        } else if (what === 4 && random.chance(0.5)) {
          await image.close()
          image = await openQcow2({ file, options: settings })
        }
        expect(same(await readAll(image), model), where).toBe(true)
        if (round % 5 === 4) {
          for (const { id, content, state } of snapshots) {
            expect(same(await readAll(await image.snapshots!.openReadOnly(id)), content), where).toBe(true)
            const into = new Uint8Array(state.length)
            await image.snapshots!.readVmState!(id, 0, into)
            expect(same(into, state), where).toBe(true)
          }
        }
        if (round % 12 === 11) {
          await image.writer!.flush('stable')
          await image.close()
          tools.save(name, file)
          try {
            tools.check(name)
          } catch (error) {
            throw new Error(where, { cause: error })
          }
          image = await openQcow2({ file, options: settings })
        }
      }
      await image.close()
      tools.save(name, file)
      expect(same(tools.raw(name), model)).toBe(true)
      for (const { id, content } of snapshots) expect(same(tools.raw(name, '-l', id), content)).toBe(true)
      for (const { id, content } of snapshots) {
        tools.img('snapshot', '-a', id, name)
        tools.check(name)
        expect(same(tools.raw(name), content)).toBe(true)
      }
    })
  }
})
