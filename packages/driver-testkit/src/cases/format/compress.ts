import { isBlockError } from '@blockloom/block-driver'
import type { FormatBench } from '../../bench/format-bench.ts'
import type { Draft } from '../../draft.ts'
import { check } from '../../failure.ts'
import { checkReopened } from '../health.ts'
import { checkExtents } from '../shared/extents.ts'

/** @internal */
export const compressCases: readonly Draft<FormatBench>[] = [
  {
    name: 'compress: what is written compressed reads back, whether it shrinks or not',
    needs: ['compress'],
    run: async (bench) => {
      const image = await bench.create()
      const model = image.model()
      const opened = await bench.open(image)
      const facet = opened.instance.compress!
      const { granularity } = facet
      check(Number.isSafeInteger(granularity) && granularity >= 1, `compress.granularity is ${granularity}`)
      const writes: Promise<void>[] = []
      for (let offset = 0, i = 0; offset < model.size; offset += granularity, i++) {
        const data = content(bench, i, Math.min(granularity, model.size - offset))
        model.write(offset, data)
        const lent = data.slice()
        writes.push(opened.call(`compress.write(${offset}, ${lent.length})`, () => facet.write(offset, lent)).then(() => void lent.fill(0x3e)))
      }
      await Promise.all(writes)
      await model.checkAll(opened, 'after compressed writes')
      if (bench.has('extents')) await checkExtents(bench, opened, model)
      await opened.flush('stable')
      const crashed = await bench.open(image.crash('drop-all', bench.random))
      await model.checkAll(crashed, 'after compressed writes, a flush and power loss')
      await crashed.close()
      await opened.close()
      await checkReopened(bench, image, model, 'after opening again')
    },
  },
  {
    name: 'compress: writing a part of a compressed cluster keeps the rest, its neighbours and the image sound',
    needs: ['compress'],
    run: async (bench) => {
      const image = await bench.create()
      const model = image.model()
      const opened = await bench.open(image)
      const facet = opened.instance.compress!
      const { granularity } = facet
      for (let offset = 0; offset + granularity <= Math.min(model.size, 4 * granularity); offset += granularity) {
        const data = content(bench, 0, granularity)
        await opened.call('compress.write()', () => facet.write(offset, data.slice()))
        model.write(offset, data)
      }
      const unit = opened.limits.requestAlignment
      for (const offset of [0, granularity - unit, 2 * granularity + unit]) {
        const data = bench.random.bytes(2 * unit)
        await opened.write(offset, data)
        model.write(offset, data)
        await model.checkAll(opened, `after write(${offset}, ${data.length}) into compressed clusters`)
      }
      const again = content(bench, 2, granularity)
      try {
        await opened.call('compress.write() over data', () => facet.write(0, again.slice()))
        model.write(0, again)
      } catch (error) {
        // A format may be unable to compress in place; then nothing has changed.
        if (!isBlockError(error, 'invalid') && !isBlockError(error, 'unsupported')) throw error
      }
      await model.checkAll(opened, 'after a compressed write over data')
      await opened.close()
      await checkReopened(bench, image, model, 'after opening again')
    },
  },
]

/** By turns: compresses well, does not compress, half and half, zeroes. */
function content(bench: FormatBench, i: number, bytes: number): Uint8Array {
  if (i % 4 === 1) return bench.random.bytes(bytes)
  if (i % 4 === 3) return new Uint8Array(bytes)
  const out = new Uint8Array(bytes).fill(1 + (bench.random.int(254)))
  if (i % 4 === 2) out.set(bench.random.bytes(Math.floor(bytes / 2)))
  return out
}
