import { MAX_IMAGE_SIZE, type Limits } from '@blockloom/block-driver'
import type { Bench } from '../../bench/bench.ts'
import type { Draft } from '../../draft.ts'
import { check } from '../../failure.ts'

/** @internal */
export const lifecycleCases: readonly Draft<Bench>[] = [
  {
    name: 'open: an image has its size, as a number that stays, and closes',
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const opened = await bench.open(image)
      const { size } = opened
      check(size === model.size, `size() is ${size}, expected ${model.size}`)
      check(Number.isSafeInteger(size) && size >= 0 && size <= MAX_IMAGE_SIZE, `size() is ${size}`)
      await opened.read(0, opened.limits.requestAlignment)
      if (opened.instance.writer) {
        await opened.write(0, await opened.read(0, opened.limits.requestAlignment))
        await opened.flush('host')
        await opened.flush('stable')
      }
      check(opened.size === size, `size() was ${size} and is now ${opened.size}`)
      await opened.close()
    },
  },
  {
    name: 'open: the limits are sane and constant',
    run: async (bench) => {
      const opened = await bench.open(await bench.create())
      const before = { ...opened.limits }
      checkLimits(before)
      await opened.read(0, before.requestAlignment)
      check(JSON.stringify({ ...opened.limits }) === JSON.stringify(before), 'the limits changed while the image was open')
      await opened.close()
    },
  },
  {
    name: 'open: what was written is there after close and open',
    needs: ['writer'],
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const writing = await bench.open(image)
      const { requestAlignment: unit } = writing.limits
      const data = bench.random.bytes(3 * unit)
      await writing.write(unit, data)
      model.write(unit, data)
      await model.checkAll(writing, 'before close')
      await writing.close()
      if (!bench.persistent) return
      for (const readOnly of [true, false]) {
        const again = await bench.open(image, { readOnly })
        await model.checkAll(again, `after opening again (readOnly: ${readOnly})`)
        await again.close()
      }
    },
  },
  {
    name: 'open: many times at once for reading',
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const all = await Promise.all([1, 2, 3].map(() => bench.open(image, { readOnly: true })))
      await Promise.all(all.map((opened, i) => (bench.persistent ? model.checkAll(opened, `reader ${i}`) : opened.read(0, opened.limits.requestAlignment))))
      for (const opened of all) await opened.close()
    },
  },
]

function checkLimits(limits: Limits): void {
  const { requestAlignment, memoryAlignment, maxTransfer, optimalTransfer, zeroAlignment, maxZero, discardAlignment, maxDiscard, clusterSize } = limits
  for (const [name, value] of Object.entries({ requestAlignment, memoryAlignment, zeroAlignment, discardAlignment })) {
    check(Number.isSafeInteger(value) && value >= 1 && Number.isInteger(Math.log2(value)), `${name} is ${value}, not a power of two`)
  }
  check(requestAlignment <= 65536, `requestAlignment is ${requestAlignment}, at most 64 KiB is allowed`)
  for (const [name, value, unit] of [['maxTransfer', maxTransfer, requestAlignment], ['maxZero', maxZero, zeroAlignment], ['maxDiscard', maxDiscard, discardAlignment]] as const) {
    check(value === Infinity || (Number.isSafeInteger(value) && value >= unit), `${name} is ${value}, less than one unit of ${unit}`)
  }
  check(maxTransfer === Infinity || maxTransfer % requestAlignment === 0, `maxTransfer ${maxTransfer} is no multiple of requestAlignment`)
  check(Number.isSafeInteger(optimalTransfer) && optimalTransfer >= 0, `optimalTransfer is ${optimalTransfer}`)
  check(clusterSize === 0 || (Number.isSafeInteger(clusterSize) && clusterSize > 0), `clusterSize is ${clusterSize}`)
}
