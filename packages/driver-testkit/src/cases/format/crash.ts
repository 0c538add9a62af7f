import { RequestFlag } from '@blockloom/block-driver'
import type { FormatBench, FormatImage } from '../../bench/format-bench.ts'
import type { OpenedImage } from '../../bench/opened-image.ts'
import type { CrashStyle } from '../../child/disk-file.ts'
import type { Draft } from '../../draft.ts'
import { failure } from '../../failure.ts'
import type { ByteModel } from '../../model/byte-model.ts'
import { inside, overlap } from '../../model/ranges.ts'
import { allow, describeOperation, perform, planOperation, settle, type Operation } from '../../model/workload.ts'
import { checkHealth } from '../health.ts'

const STYLES: readonly CrashStyle[] = ['drop-all', 'newest', 'newest', 'subset', 'subset', 'torn', 'torn', 'keep-all']
const BATCHES = 26
/** Power losses examined in each case. */
const MOST_CRASHES = 40

/** @internal */
export const crashCases: readonly Draft<FormatBench>[] = [
  {
    name: 'flush: what was flushed survives the loss of everything that was not',
    needs: ['writer'],
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const cluster = await bench.cluster()
      const opened = await bench.open(image)
      const rounds = await bench.effort(12)
      for (let i = 0; i < rounds; i++) {
        const operation = planOperation(bench.random, image, opened, model.size, cluster)
        if (await perform(opened, operation)) settle(model, operation)
        await opened.flush('stable')
        await examine(bench, { image: image.crash('drop-all', bench.random), model: model.clone(), when: `after ${describeOperation(operation)} and flush` })
      }
      await opened.close()
      await examine(bench, { image: image.crash('drop-all', bench.random), model, when: 'after close' })
    },
  },
  {
    name: 'flush: a write through (FUA, or followed by a flush) survives power loss',
    needs: ['writer'],
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const cluster = await bench.cluster()
      const opened = await bench.open(image)
      const unit = opened.limits.requestAlignment
      for (const offset of [0, cluster, cluster - unit, 2 * cluster + unit]) {
        const data = bench.random.bytes(2 * unit)
        await opened.writeThrough(offset, data)
        model.write(offset, data)
        await examine(bench, { image: image.crash('drop-all', bench.random), model: model.clone(), when: `after a write through at ${offset}` })
      }
      await opened.close()
    },
  },
  ...(['empty', 'filled'] as const).map((start): Draft<FormatBench> => ({
    name: `crash: power fails at any point of random requests on an image that was ${start}`,
    needs: ['writer'],
    run: async (bench) => {
      const crashes = await collect(bench, start)
      for (const crash of crashes) await examine(bench, crash)
    },
  })),
  {
    name: 'crash: freed space is not used again while the disk still says that it is in use',
    needs: ['writer'],
    run: async (bench) => {
      for (const free of ['zero', 'discard', 'write'] as const) {
        for (const crash of await reuse(bench, free)) await examine(bench, crash)
      }
    },
  },
]

interface Crash {
  readonly image: FormatImage
  readonly model: ByteModel
  readonly when: string
}

interface Pending {
  readonly operation: Operation
  /** The driver has answered. */
  done: boolean
  /** It did it. */
  took: boolean
}

/** Runs requests, and takes pictures of the disk between the changes that the driver makes. */
async function collect(bench: FormatBench, start: 'empty' | 'filled'): Promise<Crash[]> {
  const { random } = bench
  const cluster = await bench.cluster()
  const { image, model: settled } = start === 'filled' ? await bench.filled() : await withModel(bench)
  const session = image.session(bench.mode())
  const opened = await bench.open(image, {}, session)
  const crashes: Crash[] = []
  const most = await bench.effort(MOST_CRASHES)
  let changes = 0
  let pending: Pending[] = []

  session.changed = () => {
    // Each change of the whole run is as likely as any other (reservoir sampling).
    const slot = changes < most ? changes : random.int(changes + 1)
    changes++
    if (slot >= most) return
    const style = random.pick(STYLES)
    const model = settled.clone()
    for (const { operation } of pending) allow(model, operation)
    const recent = pending.map(({ operation }) => describeOperation(operation)).join(', ')
    crashes[slot] = { image: image.crash(style, random), model, when: `after a crash (${style}) with ${recent || 'nothing'} not flushed` }
  }
  const run = async (entry: Pending) => {
    entry.took = await perform(opened, entry.operation)
    entry.done = true
  }
  const flush = async () => {
    const covered = pending.filter((entry) => entry.done)
    await opened.flush('stable')
    for (const entry of covered) if (entry.took) settle(settled, entry.operation)
    pending = pending.filter((entry) => !covered.includes(entry))
  }

  const batches = Math.max(8, await bench.effort(BATCHES))
  for (let batch = 0; batch < batches; batch++) {
    const entries = plan(bench, image, opened, settled.size, cluster).map((operation) => ({ operation, done: false, took: false }))
    const flushing = random.oneIn(4) ? flush() : Promise.resolve()
    pending.push(...entries)
    await Promise.all([flushing, ...entries.map(run)])
    if (random.oneIn(3)) await flush()
  }
  session.changed = () => {}
  await opened.close()
  return crashes
}

/** Frees clusters and writes to others, without a flush between; power fails after each change below. */
async function reuse(bench: FormatBench, free: 'zero' | 'discard' | 'write'): Promise<Crash[]> {
  const { random } = bench
  const cluster = await bench.cluster()
  const { image, model: settled } = await bench.filled()
  const session = image.session(bench.mode())
  const opened = await bench.open(image, {}, session)
  const { size } = settled
  const { limits, instance } = opened
  const [alignment, longest] = free === 'zero' ? [limits.zeroAlignment, limits.maxZero] : [limits.discardAlignment, limits.maxDiscard]
  const writing = (at: number, bytes: number): Operation => ({ kind: 'write', range: { offset: at, bytes }, outcomes: [random.bytes(bytes)], flags: 0 })
  const freeing = (at: number): Operation => {
    const range = inside({ offset: at, bytes: cluster }, size, alignment, longest)
    if (!range || free === 'write' || !instance[free]) return writing(at, cluster)
    const outcomes = free === 'zero' ? [new Uint8Array(range.bytes)] : image.discarded(range.offset, range.bytes)
    return { kind: free, range, outcomes, flags: free === 'zero' ? RequestFlag.MAY_UNMAP : 0 }
  }
  const crashes: Crash[] = []
  const most = await bench.effort(MOST_CRASHES)
  const pending: Operation[] = []
  let changes = 0
  session.changed = () => {
    for (const style of ['newest', 'subset'] as const) {
      const slot = changes < most ? changes : random.int(changes + 1)
      changes++
      if (slot >= most) continue
      const model = settled.clone()
      for (const operation of pending) allow(model, operation)
      crashes[slot] = { image: image.crash(style, random), model, when: `after a crash (${style}) during ${pending.map(describeOperation).join(', ')}` }
    }
  }
  for (const operation of [freeing(0), freeing(3 * cluster), writing(2 * cluster, cluster), writing(cluster, cluster)]) {
    pending.push(operation)
    await perform(opened, operation)
  }
  await opened.flush('stable')
  session.changed = () => {}
  await opened.close()
  return crashes
}

async function withModel(bench: FormatBench): Promise<{ image: FormatImage; model: ByteModel }> {
  const image = await bench.create()
  return { image, model: image.model() }
}

function plan(bench: FormatBench, image: FormatImage, opened: OpenedImage, size: number, cluster: number): Operation[] {
  const out: Operation[] = []
  const count = 1 + bench.random.int(4)
  for (let tries = 0; tries < count; tries++) {
    const next = planOperation(bench.random, image, opened, size, cluster)
    if (!out.some(({ range }) => overlap(range, next.range))) out.push(next)
  }
  return out
}

/** Opens what power loss has left: flushed data is there, nothing is corrupt, and it can be written to. */
async function examine(bench: FormatBench, { image, model, when }: Crash): Promise<void> {
  try {
    const opened = await bench.open(image)
    await model.checkAll(opened, when)
    await checkHealth(opened, when)
    const cluster = await bench.cluster()
    const data = bench.random.bytes(cluster)
    await opened.write(cluster, data)
    model.write(cluster, data)
    await model.checkAll(opened, `${when}, and a write`)
    await opened.close()
    const again = await bench.open(image, { readOnly: true })
    await model.checkAll(again, `${when}, a write and close`)
    await checkHealth(again, `${when}, a write and close`)
    await again.close()
  } catch (error) {
    if (error instanceof Error && error.name === 'ConformanceFailure') throw error
    throw failure(`${when}: ${error instanceof Error ? error.message : String(error)}`, error)
  }
}
