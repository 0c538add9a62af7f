import type { Bench } from '../../bench/bench.ts'
import type { Draft } from '../../draft.ts'
import { inside } from '../../model/ranges.ts'
import { checkReopened } from '../health.ts'
import { checkExtents } from './extents.ts'

/** @internal */
export const discardCases: readonly Draft<Bench>[] = [
  {
    name: 'discard: other bytes stay, the discarded ones are old, zero or what the child makes of them',
    needs: ['discard', 'writer'],
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const opened = await bench.open(image)
      const { discardAlignment, maxDiscard } = opened.limits
      const cluster = await bench.cluster()
      for (const wanted of [
        { offset: 0, bytes: cluster },
        { offset: 2 * cluster, bytes: Math.max(discardAlignment, Math.floor(cluster / 2)) },
        { offset: 3 * cluster - discardAlignment, bytes: cluster + 2 * discardAlignment },
        { offset: Math.max(0, model.size - cluster), bytes: cluster },
      ]) {
        const range = inside(wanted, model.size, discardAlignment, maxDiscard)
        if (!range) continue
        const answer = await opened.discard(range.offset, range.bytes)
        if (answer === 'done') for (const choice of image.discarded(range.offset, range.bytes)) model.maybe(range.offset, choice)
        await model.checkAll(opened, `after discard(${range.offset}, ${range.bytes}): ${answer}`)
      }
      if (bench.has('extents')) await checkExtents(bench, opened, model)
      const whole = inside({ offset: 0, bytes: model.size }, model.size, discardAlignment, maxDiscard)
      if (whole && (await opened.discard(whole.offset, whole.bytes)) === 'done') {
        for (const choice of image.discarded(whole.offset, whole.bytes)) model.maybe(whole.offset, choice)
      }
      await opened.flush('stable')
      // What was freed is used again, and only once.
      const data = bench.random.bytes(model.size - (model.size % opened.limits.requestAlignment))
      await opened.write(0, data)
      model.write(0, data)
      await model.checkAll(opened, 'after writing discarded space')
      await opened.close()
      await checkReopened(bench, image, model, 'after opening again')
    },
  },
]
