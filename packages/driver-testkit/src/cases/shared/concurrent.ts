import { RequestFlag } from '@blockloom/block-driver'
import type { Bench, Image } from '../../bench/bench.ts'
import type { OpenedImage } from '../../bench/opened-image.ts'
import type { Draft } from '../../draft.ts'
import type { ByteModel } from '../../model/byte-model.ts'
import { checkReopened } from '../health.ts'
import { alignDown, inside, overlap, type ByteRange } from '../../model/ranges.ts'
import { allow, perform, planOperation, settle, type Operation } from '../../model/workload.ts'

const ROUNDS = 6

/** @internal */
export const concurrentCases: readonly Draft<Bench>[] = [
  {
    name: 'concurrency: writers of disjoint parts of the same and neighbouring clusters',
    needs: ['writer'],
    run: async (bench) => {
      const rounds = await bench.effort(ROUNDS)
      for (let round = 0; round < rounds; round++) {
        const image = await bench.create()
        const model = image.model()
        const opened = await bench.open(image)
        const parts = slices(model.size, await bench.cluster(), opened.limits.requestAlignment)
        await Promise.all(bench.random.shuffled(parts).map(async ({ offset, bytes }) => {
          const data = bench.random.bytes(bytes)
          model.write(offset, data)
          await opened.write(offset, data)
        }))
        await model.checkAll(opened, 'after concurrent writes')
        await opened.close()
        await checkReopened(bench, image, model, 'after opening again')
      }
    },
  },
  {
    name: 'concurrency: overlapping writers leave one of their values in each byte',
    needs: ['writer'],
    run: async (bench) => {
      const rounds = await bench.effort(ROUNDS)
      for (let round = 0; round < rounds; round++) {
        const image = await bench.create()
        const model = image.model()
        const opened = await bench.open(image)
        const cluster = await bench.cluster()
        const unit = opened.limits.requestAlignment
        const whole = alignDown(Math.min(2 * cluster, model.size), unit)
        const data = [0, 1, 2].map(() => bench.random.bytes(whole))
        // The first writer covers everything, so that no byte may stay what it was.
        model.write(0, data[0]!)
        for (const later of data.slice(1)) model.maybe(0, later)
        await Promise.all(data.map((bytes) => opened.write(0, bytes)))
        await model.checkAll(opened, 'after overlapping writes')
        await opened.close()
        await checkReopened(bench, image, model, 'after opening again')
      }
    },
  },
  {
    name: 'concurrency: readers see what was acknowledged, whatever else is being written',
    needs: ['writer'],
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const opened = await bench.open(image)
      const cluster = await bench.cluster()
      const rounds = await bench.effort(2 * ROUNDS)
      for (let round = 0; round < rounds; round++) {
        const operations = disjoint(bench, image, opened, model, cluster)
        const readers = gaps(operations.map(({ range }) => range), model.size)
        await Promise.all([
          ...operations.map(async (operation) => {
            if (await perform(opened, operation)) settle(model, operation)
          }),
          ...readers.map(({ offset, bytes }) => model.checkRange(opened, offset, bytes, `read(${offset}, ${bytes}) beside other requests`)),
        ])
        await model.checkAll(opened, `after round ${round}`)
      }
      await opened.close()
      await checkReopened(bench, image, model, 'after opening again')
    },
  },
  {
    name: 'concurrency: readers of what is being given up see its old or its new bytes, never those of its next user',
    needs: ['writer'],
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const session = image.session(bench.mode())
      const opened = await bench.open(image, {}, session)
      const cluster = await bench.cluster()
      const places = bench.random.shuffled(Array.from({ length: Math.floor(model.size / cluster) }, (_, i) => i * cluster))
      const some = Math.max(1, Math.min(5, Math.floor(places.length / 3)))
      session.slowReads = true
      const rounds = await bench.effort(3 * ROUNDS)
      for (let round = 0; round < rounds; round++) {
        // Each place is written in one round and given up in the next, while others are written: they take its space.
        const using = places.splice(0, some)
        const freeing = places.slice(-some)
        places.push(...using)
        const operations = freeing.map((at) => giveUp(bench, image, opened, at, cluster))
        const during = model.clone()
        for (const operation of operations) allow(during, operation)
        const readers = [...freeing, ...freeing].map((at) => during.checkRange(opened, at, cluster, `read(${at}, ${cluster}) of what is being given up`))
        const change = async (all: readonly Operation[]) => {
          await Promise.all(all.map(async (operation) => {
            if (await perform(opened, operation)) settle(model, operation)
          }))
        }
        const changes = async () => {
          await change(operations)
          await opened.flush('stable')
          await change(using.map((at) => ({ kind: 'write', range: { offset: at, bytes: cluster }, outcomes: [bench.random.bytes(cluster)], flags: 0 })))
        }
        await Promise.all([...readers, changes()])
      }
      session.slowReads = false
      await model.checkAll(opened, 'after all rounds')
      await opened.close()
      await checkReopened(bench, image, model, 'after opening again')
    },
  },
]

/** A request after which the place of a cluster is no longer needed; a write if there is no other. */
function giveUp(bench: Bench, image: Image, opened: OpenedImage, offset: number, bytes: number): Operation {
  const { instance, limits } = opened
  const wanted = { offset, bytes }
  const zeroed = instance.zero && inside(wanted, offset + bytes, limits.zeroAlignment, limits.maxZero)
  const discarded = instance.discard && inside(wanted, offset + bytes, limits.discardAlignment, limits.maxDiscard)
  if (discarded && (!zeroed || bench.random.oneIn(2))) return { kind: 'discard', range: discarded, outcomes: image.discarded(discarded.offset, discarded.bytes), flags: 0 }
  if (zeroed) return { kind: 'zero', range: zeroed, outcomes: [new Uint8Array(zeroed.bytes)], flags: RequestFlag.MAY_UNMAP }
  return { kind: 'write', range: wanted, outcomes: [bench.random.bytes(bytes)], flags: 0 }
}

/** Cuts the image into pieces of a third of a cluster, and leaves out every seventh. */
function slices(size: number, cluster: number, unit: number): ByteRange[] {
  const step = Math.max(unit, alignDown(Math.floor(cluster / 3), unit))
  const out: ByteRange[] = []
  const most = Math.min(alignDown(size, unit), 6 * cluster)
  for (let offset = 0; offset < most; offset += step) {
    if ((offset / step) % 7 !== 5) out.push({ offset, bytes: Math.min(step, most - offset) })
  }
  return out
}

function disjoint(bench: Bench, image: Image, opened: OpenedImage, model: ByteModel, cluster: number): Operation[] {
  const out: Operation[] = []
  for (let tries = 0; tries < 10; tries++) {
    const next = planOperation(bench.random, image, opened, model.size, cluster)
    if (!out.some(({ range }) => overlap(range, next.range))) out.push(next)
  }
  return out
}

/** What no range touches. */
function gaps(ranges: readonly ByteRange[], size: number): ByteRange[] {
  const out: ByteRange[] = []
  let at = 0
  for (const { offset, bytes } of [...ranges].sort((a, b) => a.offset - b.offset)) {
    if (offset > at) out.push({ offset: at, bytes: offset - at })
    at = Math.max(at, offset + bytes)
  }
  if (size > at) out.push({ offset: at, bytes: size - at })
  return out
}
