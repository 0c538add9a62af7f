import type { FormatBench, FormatImage } from '../../bench/format-bench.ts'
import type { OpenedImage } from '../../bench/opened-image.ts'
import type { CrashStyle } from '../../child/disk-file.ts'
import type { Draft } from '../../draft.ts'
import { check } from '../../failure.ts'
import type { ByteModel } from '../../model/byte-model.ts'
import { checkHealth, checkReopened } from '../health.ts'
import { overlay } from './backing-child.ts'

const STYLES: readonly CrashStyle[] = ['drop-all', 'newest', 'subset', 'torn']
const MOST_CRASHES = 28

/** @internal */
export const makeEmptyCases: readonly Draft<FormatBench>[] = [
  {
    name: 'makeEmpty: leaves zeroes where nothing is below, snapshots as they are, and an image that can be written',
    needs: ['makeEmpty', 'creation', 'writer'],
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const opened = await bench.open(image)
      const snapshot = bench.has('snapshots.create') ? model.clone() : undefined
      if (snapshot && !(await takeSnapshot(opened))) await opened.write(0, model.slice(0, opened.limits.requestAlignment))
      await makeEmpty(opened)
      model.zero(0, model.size)
      await model.checkAll(opened, 'after makeEmpty')
      await checkHealth(opened, 'after makeEmpty')
      if (snapshot && opened.instance.snapshots!.list().length > 0) {
        const before = await opened.call('snapshots.openReadOnly()', () => opened.instance.snapshots!.openReadOnly('before'))
        const bytes = new Uint8Array(snapshot.size)
        await opened.call('read() of a snapshot', () => before.read(0, bytes, 0))
        snapshot.check(0, bytes, 'a snapshot after makeEmpty')
        await opened.call('close() of a snapshot', () => before.close())
      }
      await writeSome(bench, opened, model)
      await model.checkAll(opened, 'after makeEmpty and writes')
      await makeEmpty(opened)
      await opened.close()
      model.zero(0, model.size)
      await checkReopened(bench, image, model, 'after makeEmpty, close and open')
    },
  },
  {
    name: 'makeEmpty: shows what is below, everywhere',
    needs: ['makeEmpty', 'backingChild', 'creation', 'writer'],
    run: async (bench) => {
      const { image, model } = await overlay(bench, -512 - (await bench.cluster()))
      const below = model.clone()
      const opened = await bench.open(image)
      await writeSome(bench, opened, model)
      await hideSome(bench, opened, model)
      await model.checkAll(opened, 'before makeEmpty')
      await makeEmpty(opened)
      await below.checkAll(opened, 'after makeEmpty')
      if (opened.instance.extents) {
        const extent = await opened.extent(0, below.size)
        check(extent.kind === 'absent', `after makeEmpty the first extent is '${extent.kind}', expected 'absent'`)
      }
      await opened.close()
      await checkReopened(bench, image, below, 'after makeEmpty, close and open')
    },
  },
  {
    name: 'crash: power fails at any point of making an image empty; each byte is there or shows what is below',
    needs: ['makeEmpty', 'backingChild', 'creation', 'writer'],
    run: async (bench) => {
      const { image, model } = await overlay(bench, 0)
      const below = model.slice(0, model.size)
      const filling = await bench.open(image)
      await writeSome(bench, filling, model)
      await hideSome(bench, filling, model)
      await filling.close()
      model.maybe(0, below)
      const session = image.session(bench.mode())
      const opened = await bench.open(image, {}, session)
      const crashes: { image: FormatImage; when: string }[] = []
      const most = await bench.effort(MOST_CRASHES)
      let step = 0
      session.changed = () => {
        step++
        for (const style of STYLES) {
          const slot = crashes.length < most ? crashes.length : bench.random.int(step * STYLES.length)
          if (slot < most) crashes[slot] = { image: image.crash(style, bench.random), when: `after a crash (${style}) at change ${step} of makeEmpty` }
        }
      }
      await makeEmpty(opened)
      session.changed = () => {}
      await opened.close()
      for (const crash of crashes) await examine(bench, crash.image, model.clone(), crash.when)
    },
  },
]

function makeEmpty(opened: OpenedImage): Promise<void> {
  return opened.call('makeEmpty()', () => opened.instance.makeEmpty!())
}

/** False if there is no room for one. */
async function takeSnapshot(opened: OpenedImage): Promise<boolean> {
  try {
    await opened.call('snapshots.create()', () => opened.instance.snapshots!.create!({ name: 'before' }))
    return true
  } catch (error) {
    if (error instanceof Error && error.name === 'ConformanceFailure') throw error
    return false
  }
}

/** Every other cluster and the last bytes. */
async function writeSome(bench: FormatBench, opened: OpenedImage, model: ByteModel): Promise<void> {
  const cluster = await bench.cluster()
  const { requestAlignment } = opened.limits
  for (let offset = 0; offset < model.size; offset += 2 * cluster) {
    const bytes = Math.min(cluster, model.size - offset)
    const data = bench.random.bytes(bytes - (bytes % requestAlignment))
    if (data.length === 0) continue
    await opened.write(offset, data)
    model.write(offset, data)
  }
}

/** Zeroes over what is below. */
async function hideSome(bench: FormatBench, opened: OpenedImage, model: ByteModel): Promise<void> {
  const cluster = await bench.cluster()
  if (!opened.instance.zero || model.size < 2 * cluster) return
  if ((await opened.zero(cluster, cluster)) === 'done') model.zero(cluster, cluster)
}

async function examine(bench: FormatBench, image: FormatImage, model: ByteModel, when: string): Promise<void> {
  const opened = await bench.open(image)
  await model.checkAll(opened, when)
  await checkHealth(opened, when)
  const data = bench.random.bytes(model.size - (model.size % opened.limits.requestAlignment))
  await opened.write(0, data)
  model.write(0, data)
  await opened.close()
  await checkReopened(bench, image, model, `${when}, and a write over everything`)
}
