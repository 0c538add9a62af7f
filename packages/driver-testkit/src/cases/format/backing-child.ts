import type { FormatBench, FormatImage } from '../../bench/format-bench.ts'
import { SparseBytes } from '../../child/sparse-bytes.ts'
import type { Draft } from '../../draft.ts'
import { check } from '../../failure.ts'
import type { ByteModel } from '../../model/byte-model.ts'
import { alignDown, inside } from '../../model/ranges.ts'
import { perform, planOperation, settle } from '../../model/workload.ts'
import { checkReopened } from '../health.ts'
import { checkExtents } from '../shared/extents.ts'
import { isFixed } from '../shared/resize.ts'

const LENGTHS = [['of the same length', 0], ['that is shorter', -1], ['that is longer', 1]] as const

/** @internal */
export const backingChildCases: readonly Draft<FormatBench>[] = [
  ...LENGTHS.map(([title, more]): Draft<FormatBench> => ({
    name: `backing: absent ranges read through to a file ${title}, writes keep the rest of their cluster`,
    needs: ['backingChild', 'creation', 'writer'],
    run: async (bench) => {
      const cluster = await bench.cluster()
      const { image, model } = await overlay(bench, more * (cluster + 1536))
      const opened = await bench.open(image)
      await model.checkAll(opened, 'a new overlay')
      check(opened.instance.zeroInit !== true, 'zeroInit is true, but a new overlay shows its backing file')
      if (bench.has('extents')) await checkExtents(bench, opened, model)
      const unit = opened.limits.requestAlignment
      const last = alignDown(model.size - 1, unit)
      for (const [start, bytes] of [[unit, unit], [cluster - unit, 2 * unit], [2 * cluster + unit, unit], [alignDown(model.size - cluster - 1024, unit), 2 * unit], [last, unit]] as const) {
        const data = bench.random.bytes(Math.min(bytes, model.size - start))
        await opened.write(start, data)
        model.write(start, data)
        await model.checkAll(opened, `after write(${start}, ${data.length}) over a backing file ${title}`)
      }
      if (bench.has('extents')) await checkExtents(bench, opened, model)
      await opened.close()
      await checkReopened(bench, image, model, 'after opening again')
    },
  })),
  {
    name: 'backing: random operations over data below, and power loss',
    needs: ['backingChild', 'creation', 'writer'],
    run: async (bench) => {
      const cluster = await bench.cluster()
      const { image, model } = await overlay(bench, -cluster - 512)
      const opened = await bench.open(image)
      const steps = Math.max(10, await bench.effort(60))
      for (let step = 0; step < steps; step++) {
        const operation = planOperation(bench.random, image, opened, model.size, cluster)
        if (await perform(opened, operation)) settle(model, operation)
        if (step % 10 === 9) {
          await model.checkAll(opened, `after step ${step}`)
          await opened.flush('stable')
          const crashed = await bench.open(image.crash('drop-all', bench.random))
          await model.checkAll(crashed, `after step ${step}, a flush and power loss`)
          await crashed.close()
        }
      }
      await opened.close()
      await checkReopened(bench, image, model, 'after opening again')
    },
  },
  {
    name: 'backing: many writers into the same absent cluster',
    needs: ['backingChild', 'creation', 'writer'],
    run: async (bench) => {
      const cluster = await bench.cluster()
      const { image, model } = await overlay(bench, 0)
      const opened = await bench.open(image)
      const unit = opened.limits.requestAlignment
      const step = Math.max(unit, alignDown(Math.floor(cluster / 8), unit))
      const offsets: number[] = []
      for (let offset = 0; offset + step <= Math.min(3 * cluster, model.size); offset += 2 * step) offsets.push(offset)
      await Promise.all(bench.random.shuffled(offsets).map(async (offset) => {
        const data = bench.random.bytes(step)
        model.write(offset, data)
        await opened.write(offset, data)
      }))
      await model.checkAll(opened, 'after concurrent copy-on-write')
      await opened.close()
      await checkReopened(bench, image, model, 'after opening again')
    },
  },
  {
    name: 'backing: zeroes hide what is below',
    needs: ['backingChild', 'creation', 'writer', 'zero'],
    run: async (bench) => {
      const cluster = await bench.cluster()
      const { image, model } = await overlay(bench, 0)
      const opened = await bench.open(image)
      for (const wanted of [{ offset: 0, bytes: cluster }, { offset: cluster + 512, bytes: cluster }, { offset: model.size - cluster, bytes: cluster }]) {
        const range = inside(wanted, model.size, opened.limits.zeroAlignment, opened.limits.maxZero)
        if (range && (await opened.zero(range.offset, range.bytes)) === 'done') model.zero(range.offset, range.bytes)
        await model.checkAll(opened, 'after zero over a backing file')
      }
      if (bench.has('extents')) await checkExtents(bench, opened, model)
      await opened.close()
      await checkReopened(bench, image, model, 'after opening again')
    },
  },
  {
    name: 'backing: growing over a longer backing file shows zeroes',
    needs: ['backingChild', 'creation', 'writer', 'resize'],
    run: async (bench) => {
      if (isFixed(bench)) return
      const cluster = await bench.cluster()
      const { image, model } = await overlay(bench, 3 * cluster)
      const opened = await bench.open(image)
      const wished = alignDown(model.size + 2 * cluster, Math.max(512, opened.limits.requestAlignment))
      const to = bench.fixture.actualSize?.(wished) ?? wished
      await opened.resize(to, { zeroFill: true })
      model.resize(to)
      await model.checkAll(opened, 'after growing over a longer backing file')
      await opened.close()
      await checkReopened(bench, image, model, 'after opening again')
    },
  },
  {
    name: 'backing: the child may come and go while the image is open, and is never written to',
    needs: ['backingChild', 'creation', 'writer'],
    run: async (bench) => {
      const { image, model } = await overlay(bench, 0)
      const below = image.backing!.visible.hash()
      const session = image.session(bench.mode())
      const opened = await bench.open(image, {}, session)
      const slot = session.slots.get('backing')
      check(slot !== undefined, "the driver did not ask for its child 'backing'")
      await model.checkAll(opened, 'with the backing file')
      const held = slot.current
      slot.current = null
      const bare = await opened.read(0, alignDown(await bench.cluster(), opened.limits.requestAlignment))
      check(bare.every((byte) => byte === 0), 'without a backing file absent ranges do not read as zeroes')
      slot.current = held
      await model.checkAll(opened, 'with the backing file again')
      await opened.close()
      check(image.backing!.visible.hash() === below, 'the backing file has changed')
    },
  },
]

/** An empty overlay over data; `more` bytes longer than itself. @internal */
export async function overlay(bench: FormatBench, more: number): Promise<{ image: FormatImage; model: ByteModel }> {
  const size = await bench.size()
  const base = new SparseBytes()
  base.write(0, bench.random.bytes(Math.max(512, size + more)))
  const image = await bench.create(size, base)
  return { image, model: image.model() }
}
