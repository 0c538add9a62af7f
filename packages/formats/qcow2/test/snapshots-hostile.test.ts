import { BlockError, isBlockError } from '@blockloom/block-driver'
import { afterAll, describe, expect, it } from 'vitest'
import { MemoryChild } from './harness/memory-child.ts'
import { openQcow2 } from './harness/open.ts'
import { Random } from './harness/random.ts'
import { haveReference, Reference } from './harness/reference.ts'

const TRIALS = Number(process.env['HOSTILE_TRIALS'] ?? 60)
/** No image of these tests has a reason to grow beyond this. */
const MOST_BYTES = 64 * 1024 * 1024

describe.runIf(haveReference)('snapshots of a damaged image', () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())

  for (const options of ['cluster_size=4k', 'cluster_size=512,refcount_bits=8', 'extended_l2=on,cluster_size=16k']) {
    it(`are done or refused, soon and by name (${options})`, { timeout: 30_000 }, async () => {
      tools.create('damaged.qcow2', '256k', options)
      tools.io('damaged.qcow2', 'write -P 1 0 100k', 'write -z 40k 16k')
      tools.img('snapshot', '-c', 'first', 'damaged.qcow2')
      tools.io('damaged.qcow2', 'write -P 4 20k 50k')
      tools.img('snapshot', '-c', 'second', 'damaged.qcow2')
      tools.io('damaged.qcow2', 'write -P 5 30k 80k')
      const base = tools.load('damaged.qcow2').content.slice()
      const view = new DataView(base.buffer)
      const offset = (at: number): number => Number(view.getBigUint64(at) & 0x00ff_ffff_ffff_fe00n)
      const [l1, refcountTable, table] = [offset(40), offset(48), offset(64)]
      // What is damaged: tables and their first entries.
      const places: [number, number][] = [[0, 112], [l1, 64], [refcountTable, 32], [table, 140], [offset(l1), 300], [offset(refcountTable), 120], [offset(table), 64], [offset(offset(table)), 300]]
      const fields = [24, 36, 40, 48, 56, 60, 64, table + 8, table + 36, table + 40, table + 48]
      for (let seed = 1; seed <= TRIALS; seed++) {
        const random = new Random(seed)
        const bytes = base.slice()
        for (let n = 1 + random.below(3); n > 0; n--) {
          const [at, length] = random.pick(places)
          const where = random.chance(0.3) ? random.pick(fields) + random.below(8) : at + random.below(length)
          bytes[where] = random.below(256)
        }
        const file = new MemoryChild({
          content: bytes,
          before: (op, at, length) => {
            if (op !== 'read' && at + length > MOST_BYTES) throw new BlockError('no-space', 'The test disk is full')
          },
        })
        const run = async (what: string, work: () => Promise<unknown>): Promise<void> => {
          await work().catch((error: unknown) => {
            if (!isBlockError(error)) throw new Error(`seed ${seed}, ${what}`, { cause: error })
          })
        }
        await run('open', async () => {
          const image = await openQcow2({ file })
          const { snapshots } = image
          await run('create', () => snapshots!.create!({ name: 'new', vmState: new Uint8Array(5000) }))
          await run('revert', () => snapshots!.revert!('first'))
          await run('write', () => image.writer!.write(5000, new Uint8Array(9000), 0))
          await run('remove', () => snapshots!.remove!('second'))
          await run('revert', () => snapshots!.revert!('new'))
          await run('state', () => snapshots!.readVmState!('new', 0, new Uint8Array(5000)))
          await run('close', () => image.close())
        })
      }
      expect.assertions(0)
    })
  }
})
