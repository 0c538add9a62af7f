import { isBlockError } from '@blockloom/block-driver'
import type { Bench } from '../../bench/bench.ts'
import type { OpenedImage } from '../../bench/opened-image.ts'
import type { Draft } from '../../draft.ts'
import { check } from '../../failure.ts'
import type { FormatFixture } from '../../fixture.ts'
import type { ByteModel } from '../../model/byte-model.ts'
import { alignUp } from '../../model/ranges.ts'
import { outcomeOf } from '../errors.ts'
import { checkReopened } from '../health.ts'

const drafts: readonly Draft<Bench>[] = [
  {
    name: 'resize: grows in steps, new bytes are zeroes, old ones stay',
    needs: ['resize', 'writer'],
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const opened = await bench.open(image)
      const cluster = await bench.cluster()
      for (const more of [512, cluster, 3 * cluster + 512]) {
        const to = target(bench, opened, model.size + more)
        await opened.resize(to)
        model.resize(to)
        await model.checkAll(opened, `after growing to ${to}`)
      }
      const unit = opened.limits.requestAlignment
      const tail = bench.random.bytes(unit)
      await opened.write(model.size - unit, tail)
      model.write(model.size - unit, tail)
      await model.checkAll(opened, 'after a write at the new end')
      await opened.close()
      await checkReopened(bench, image, model, 'after opening again')
    },
  },
  {
    name: 'resize: shrinks and grows again without showing what was there, or refuses and changes nothing',
    needs: ['resize', 'writer'],
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const opened = await bench.open(image)
      const cluster = await bench.cluster()
      for (const less of [512, cluster + 512, cluster]) {
        const full = model.size
        const to = target(bench, opened, Math.max(512, full - less))
        if (to >= full || !(await shrunk(opened, model, to))) continue
        await model.checkAll(opened, `after shrinking to ${to}`)
        await opened.resize(full)
        model.resize(full)
        await model.checkAll(opened, `after shrinking to ${to} and growing back to ${full}`)
        const data = bench.random.bytes(full - to - ((full - to) % opened.limits.requestAlignment))
        const at = full - data.length
        await opened.write(at, data)
        model.write(at, data)
      }
      await opened.close()
      await checkReopened(bench, image, model, 'after opening again')
    },
  },
  {
    name: 'resize: each preallocation that the image lists works and reads as zeroes',
    needs: ['resize', 'writer'],
    run: async (bench) => {
      const modes = await listed(bench)
      check(modes.includes('off'), "resize.preallocations lacks 'off'")
      for (const preallocation of modes) {
        const { image, model } = await bench.filled()
        const opened = await bench.open(image)
        const to = target(bench, opened, model.size + 2 * (await bench.cluster()))
        await opened.resize(to, { preallocation })
        model.resize(to)
        await model.checkAll(opened, `after growing with preallocation=${preallocation}`)
        await opened.close()
        await checkReopened(bench, image, model, `after growing with preallocation=${preallocation} and opening again`)
      }
    },
  },
]

/** @internal */
export const resizeCases: readonly Draft<Bench>[] = drafts.map((draft) => ({
  ...draft,
  run: (bench) => (isFixed(bench) ? checkRefused(bench) : draft.run(bench)),
}))

/** True if the fixture says that the size cannot change. @internal */
export function isFixed(bench: Bench): boolean {
  return (bench.fixture as FormatFixture).fixedSize ?? false
}

async function checkRefused(bench: Bench): Promise<void> {
  const { image, model } = await bench.filled()
  const opened = await bench.open(image)
  for (const preallocation of opened.instance.resize!.preallocations) {
    for (const to of [model.size + 4096, model.size - 512, 0]) {
      const outcome = await outcomeOf(() => opened.resize(to, { preallocation }))
      check(!outcome.ok && isBlockError(outcome.error, 'unsupported'), `resize(${to}) of an image with a fixed size must be refused with the code unsupported`)
      await model.checkAll(opened, `after resize(${to}) was refused`)
    }
  }
  await opened.close()
  await checkReopened(bench, image, model, 'after opening again')
}

async function listed(bench: Bench) {
  const opened = await bench.open(await bench.create())
  const modes = [...opened.instance.resize!.preallocations]
  await opened.close()
  return modes
}

/** A size that the format can have. */
function target(bench: Bench, opened: OpenedImage, wished: number): number {
  const aligned = alignUp(wished, Math.max(512, opened.limits.requestAlignment))
  return (bench.fixture as FormatFixture).actualSize?.(aligned) ?? aligned
}

async function shrunk(opened: OpenedImage, model: ByteModel, to: number): Promise<boolean> {
  try {
    await opened.resize(to)
    model.resize(to)
    return true
  } catch (error) {
    if (!isBlockError(error, 'unsupported')) throw error
    await model.checkAll(opened, 'after a shrink was refused')
    return false
  }
}
