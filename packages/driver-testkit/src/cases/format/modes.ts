import type { FormatBench } from '../../bench/format-bench.ts'
import type { Draft } from '../../draft.ts'
import { check } from '../../failure.ts'
import { checkHealth } from '../health.ts'

/** @internal */
export const modeCases: readonly Draft<FormatBench>[] = [
  {
    name: 'mode: noIo opens no data file and still knows the size',
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const opened = await bench.open(image, { readOnly: true, noIo: true, noBacking: true })
      check(opened.size === model.size, `size() is ${opened.size}, expected ${model.size}`)
      if (opened.instance.info) await opened.call('info()', () => opened.instance.info!())
      await opened.close()
    },
  },
  {
    name: 'mode: forCheck opens a sound image like any other',
    run: async (bench) => {
      const { image, model } = await bench.filled()
      for (const readOnly of bench.has('writer') ? [true, false] : [true]) {
        const opened = await bench.open(image, { readOnly, forCheck: true })
        await checkHealth(opened, 'in mode forCheck', 'none')
        await model.checkAll(opened, 'in mode forCheck')
        await opened.close()
      }
    },
  },
]
