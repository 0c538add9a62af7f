import type { Bench } from '../../bench/bench.ts'
import type { Draft } from '../../draft.ts'
import { check, failure } from '../../failure.ts'
import { alignDown } from '../../model/ranges.ts'
import { describeOperation, perform, planOperation, settle } from '../../model/workload.ts'

const STEPS = 160

/** @internal */
export const readWriteCases: readonly Draft<Bench>[] = [
  {
    name: 'read: fills exactly what was asked, at every edge of a cluster',
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const opened = await bench.open(image)
      for (const { offset, bytes } of edges(model.size, await bench.cluster(), opened.limits.requestAlignment)) {
        await model.checkRange(opened, offset, bytes, `read(${offset}, ${bytes})`)
        await model.checkRange(opened, offset, bytes, `read(${offset}, ${bytes}), again`)
      }
      await opened.close()
    },
  },
  {
    name: 'read: the same bytes in any order and all at once',
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const opened = await bench.open(image)
      const ranges = bench.random.shuffled(edges(model.size, await bench.cluster(), opened.limits.requestAlignment))
      await Promise.all(ranges.map(({ offset, bytes }) => model.checkRange(opened, offset, bytes, `read(${offset}, ${bytes}) among others`)))
      await opened.close()
    },
  },
  {
    name: 'write: at every edge of a cluster, touching nothing else',
    needs: ['writer'],
    run: async (bench) => {
      const cluster = await bench.cluster()
      for (const { offset, bytes } of edges(await bench.size(), cluster, (await bench.limits()).requestAlignment)) {
        const image = await bench.create()
        const model = image.model()
        const opened = await bench.open(image)
        const data = bench.random.bytes(bytes)
        await opened.write(offset, data)
        model.write(offset, data)
        const around = alignDown(Math.max(0, offset - cluster), cluster)
        const until = Math.min(model.size, offset + bytes + 2 * cluster)
        await model.checkRange(opened, around, until - around, `around write(${offset}, ${bytes})`)
        await opened.close()
      }
    },
  },
  {
    name: 'write: again over what is there, at every edge of a cluster',
    needs: ['writer'],
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const opened = await bench.open(image)
      for (const { offset, bytes } of edges(model.size, await bench.cluster(), opened.limits.requestAlignment)) {
        const data = bench.random.bytes(bytes)
        await opened.write(offset, data)
        model.write(offset, data)
        await model.checkRange(opened, offset, bytes, `read after write(${offset}, ${bytes})`)
      }
      await model.checkAll(opened, 'after all writes')
      await opened.close()
      if (!bench.persistent) return
      const again = await bench.open(image, { readOnly: true })
      await model.checkAll(again, 'after opening again')
      await again.close()
    },
  },
  {
    name: 'write: random operations against a byte array',
    needs: ['writer'],
    run: async (bench) => {
      const { random } = bench
      const { image, model } = await bench.filled()
      const cluster = await bench.cluster()
      const history: string[] = []
      const steps = await bench.effort(STEPS)
      let opened = await bench.open(image)
      try {
        for (let step = 0; step < steps; step++) {
          const operation = planOperation(random, image, opened, model.size, cluster)
          history.push(describeOperation(operation))
          if (await perform(opened, operation)) settle(model, operation)
          const { offset, bytes } = operation.range
          const unit = opened.limits.requestAlignment
          const around = alignDown(Math.max(0, offset - cluster), unit)
          await model.checkRange(opened, around, alignDown(Math.min(model.size, offset + bytes + cluster) - around, unit), 'around the last operation')
          if (random.oneIn(20)) await opened.flush(random.pick(['host', 'stable'] as const))
          if (bench.persistent && random.oneIn(40)) {
            history.push('reopen')
            await opened.close()
            opened = await bench.open(image)
            await model.checkAll(opened, 'after opening again')
          }
        }
        await model.checkAll(opened, 'at the end')
      } catch (error) {
        throw failure(`${error instanceof Error ? error.message : String(error)} (last operations: ${history.slice(-6).join(', ')})`, error)
      }
      await opened.close()
    },
  },
  {
    name: 'flush: both scopes, also with nothing to flush and many at once',
    needs: ['writer'],
    run: async (bench) => {
      const opened = await bench.open(await bench.create())
      await opened.flush('host')
      await opened.flush('stable')
      const unit = opened.limits.requestAlignment
      const data = bench.random.bytes(unit)
      await Promise.all([opened.flush('stable'), opened.write(0, data), opened.flush('host'), opened.flush('stable')])
      const read = await opened.read(0, unit)
      if (bench.persistent) check(read.every((byte, i) => byte === data[i]), 'a write between flushes was lost')
      await opened.close()
    },
  },
]

interface Edge {
  readonly offset: number
  readonly bytes: number
}

/** Ranges that begin and end just before, at and just behind the edges of clusters, and at the end of the image. */
function edges(size: number, cluster: number, unit: number): Edge[] {
  const most = alignDown(size, unit)
  const wanted: [number, number][] = [
    [0, unit], [0, cluster], [cluster - unit, unit], [cluster - unit, 2 * unit], [cluster, unit], [cluster + unit, unit],
    [cluster, cluster], [cluster - unit, cluster + 2 * unit], [Math.floor(cluster / 2), 2 * cluster], [0, 3 * cluster],
    [alignDown(most - unit, cluster), most], [most - unit, unit],
  ]
  const out: Edge[] = []
  for (const [start, length] of wanted) {
    const offset = Math.min(alignDown(Math.max(0, start), unit), most - unit)
    out.push({ offset, bytes: Math.max(unit, Math.min(alignDown(length, unit), most - offset)) })
  }
  return out
}
