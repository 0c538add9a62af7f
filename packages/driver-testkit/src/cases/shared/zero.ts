import { RequestFlag } from '@blockloom/block-driver'
import type { Bench } from '../../bench/bench.ts'
import type { Draft } from '../../draft.ts'
import { check } from '../../failure.ts'
import { inside, type ByteRange } from '../../model/ranges.ts'
import { checkReopened } from '../health.ts'
import { checkExtents } from './extents.ts'

const FLAGS = [['', 0], [' with MAY_UNMAP', RequestFlag.MAY_UNMAP], [' with NO_FALLBACK', RequestFlag.NO_FALLBACK]] as const

/** @internal */
export const zeroCases: readonly Draft<Bench>[] = FLAGS.map(([title, flags]) => ({
  name: `zero: reads as zeroes and leaves the rest alone${title}`,
  needs: ['zero', 'writer'],
  run: async (bench: Bench) => {
    const { image, model } = await bench.filled()
    const opened = await bench.open(image)
    const { zeroAlignment, maxZero } = opened.limits
    for (const wanted of zeroRanges(model.size, await bench.cluster(), zeroAlignment)) {
      const range = inside(wanted, model.size, zeroAlignment, maxZero)
      if (!range) continue
      const answer = await opened.zero(range.offset, range.bytes, flags)
      if (answer === 'done') model.zero(range.offset, range.bytes)
      await model.checkAll(opened, `after zero(${range.offset}, ${range.bytes})${title}: ${answer}`)
    }
    if (bench.has('extents')) await checkExtents(bench, opened, model)
    // A zeroed place is written again.
    const data = bench.random.bytes(opened.limits.requestAlignment)
    await opened.write(0, data)
    model.write(0, data)
    await model.checkAll(opened, 'after a write into zeroes')
    check(opened.size === model.size, 'zero changed the size')
    await opened.close()
    await checkReopened(bench, image, model, 'after opening again')
  },
}))

function zeroRanges(size: number, cluster: number, unit: number): ByteRange[] {
  return [
    { offset: 0, bytes: cluster },
    { offset: 2 * cluster + unit, bytes: Math.max(unit, Math.floor(cluster / 2)) },
    { offset: cluster - unit, bytes: 2 * unit },
    { offset: Math.max(0, size - cluster - unit), bytes: cluster + unit },
    { offset: 2 * cluster, bytes: 2 * cluster },
    { offset: 0, bytes: size },
  ]
}
