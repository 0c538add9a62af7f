import { RequestFlag } from '@blockloom/block-driver'
import type { FormatBench, FormatImage } from '../../bench/format-bench.ts'
import type { OpenedImage } from '../../bench/opened-image.ts'
import { CHANGES, type Fault } from '../../child/faults.ts'
import type { Draft } from '../../draft.ts'
import { check } from '../../failure.ts'
import type { ByteModel } from '../../model/byte-model.ts'
import { inside } from '../../model/ranges.ts'
import { allow, perform, settle, type Operation } from '../../model/workload.ts'
import { checkInjected, outcomeOf } from '../errors.ts'
import { checkHealth } from '../health.ts'

/** Requests of one operation that are made to fail, at most. */
const MOST = 24

type Plan = (bench: FormatBench, opened: OpenedImage, image: FormatImage, cluster: number) => Operation | undefined

const PLANS: Readonly<Record<string, Plan>> = {
  'a write to a new cluster': (bench, _opened, _image, cluster) => writing(bench, 2 * cluster + Math.floor(cluster / 4), Math.floor(cluster / 2)),
  'a write far from all others': (bench, _opened, image, cluster) => writing(bench, image.model().size - 2 * cluster, Math.floor(cluster / 2)),
  'a write over old and new clusters': (bench, _opened, _image, cluster) => writing(bench, 0, 3 * cluster),
  'a write over an old cluster': (bench, _opened, _image, cluster) => writing(bench, 0, Math.floor(cluster / 2)),
  'a zero': (_bench, opened, image, cluster) => {
    if (!opened.instance.zero) return undefined
    const range = inside({ offset: 0, bytes: 3 * cluster }, image.model().size, opened.limits.zeroAlignment, opened.limits.maxZero)
    return range && { kind: 'zero', range, outcomes: [new Uint8Array(range.bytes)], flags: 0 }
  },
  'a discard': (_bench, opened, image, cluster) => {
    if (!opened.instance.discard) return undefined
    const range = inside({ offset: 0, bytes: 3 * cluster }, image.model().size, opened.limits.discardAlignment, opened.limits.maxDiscard)
    return range && { kind: 'discard', range, outcomes: image.discarded(range.offset, range.bytes), flags: 0 }
  },
}

/** @internal */
export const writeErrorCases: readonly Draft<FormatBench>[] = [
  ...Object.entries(PLANS).flatMap(([title, plan]) => ([['', false], [' after a part was stored', true]] as const).map(([how, torn]): Draft<FormatBench> => ({
    name: `errors: any request below ${title} fails${how}; the rest stays and later requests work`,
    needs: ['writer'],
    run: async (bench) => {
      const base = await bench.filled()
      const most = await bench.effort(MOST)
      for (let at = 1; at <= most; at++) {
        if (!(await failOnce(bench, base.image, base.model, plan, { kinds: torn ? CHANGES : [...CHANGES, 'read'], at, errno: at % 2 ? 'EIO' : 'ENOSPC', torn }))) break
      }
    },
  }))),
  {
    name: 'errors: any read below fails; the request fails and a later one works',
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const most = await bench.effort(MOST)
      for (let at = 1; at <= most; at++) {
        const session = image.session(bench.mode())
        const opened = await bench.open(image, {}, session)
        session.faults.arm({ kinds: ['read', 'extents'], at, errno: 'EIO' })
        const outcome = await outcomeOf(() => model.checkAll(opened, `with read ${at} failing`))
        if (!outcome.ok) checkInjected(outcome.error, session.faults, `a read (request ${at} failing)`)
        const { struck } = session.faults
        session.faults.disarm()
        await model.checkAll(opened, 'after a read error')
        await opened.close()
        if (!struck) break
      }
    },
  },
  {
    name: 'errors: when every change fails, requests and flush fail, and close still ends',
    needs: ['writer'],
    run: async (bench) => {
      const { image } = await bench.filled()
      const session = image.session(bench.mode())
      const opened = await session.open()
      const cluster = await bench.cluster()
      session.faults.arm({ kinds: CHANGES, at: 1, errno: 'EIO', every: true })
      const write = await outcomeOf(() => opened.write(cluster, bench.random.bytes(cluster)))
      const flush = await outcomeOf(() => opened.flush('stable'))
      check(!write.ok || !flush.ok, 'a write and a flush succeeded although every request to the child failed')
      for (const outcome of [write, flush]) if (!outcome.ok) checkInjected(outcome.error, session.faults, 'a request on a broken disk')
      const close = await outcomeOf(() => opened.closeWithoutFlush())
      if (!close.ok) checkInjected(close.error, session.faults, 'close on a broken disk')
    },
  },
]

function writing(bench: FormatBench, offset: number, bytes: number): Operation {
  const align = (value: number) => value - (value % 512)
  const range = { offset: align(offset), bytes: Math.max(512, align(bytes)) }
  return { kind: 'write', range, outcomes: [bench.random.bytes(range.bytes)], flags: 0 }
}

/** Answers whether the fault has struck. */
async function failOnce(bench: FormatBench, base: FormatImage, before: ByteModel, plan: Plan, fault: Fault): Promise<boolean> {
  const image = base.clone()
  const model = before.clone()
  const session = image.session(bench.mode())
  const { faults } = session
  const opened = await bench.open(image, {}, session)
  const cluster = await bench.cluster()
  const operation = plan(bench, opened, image, cluster)
  if (!operation) {
    await opened.close()
    return false
  }
  await leaveRemains(opened, model, cluster)
  const when = `with ${fault.errno} in request ${fault.at}${fault.torn ? ', partly stored,' : ''} below`

  let took = false
  faults.arm(fault)
  const outcome = await outcomeOf(async () => {
    took = await perform(opened, operation)
  })
  if (outcome.ok && took) settle(model, operation)
  else allow(model, operation)
  const flushed = await outcomeOf(() => opened.flush('stable'))
  const { struck } = faults
  faults.disarm()
  if (!outcome.ok) checkInjected(outcome.error, faults, `${operation.kind} ${when}`)
  if (!flushed.ok) checkInjected(flushed.error, faults, `flush ${when}`)

  // Whatever was promised must hold, also if the error was swallowed.
  if (flushed.ok) await examineCrash(bench, image, model, `${when}, after a flush that succeeded`)
  await model.checkAll(opened, `${when}`)
  const data = bench.random.bytes(cluster)
  for (const offset of [cluster, 3 * cluster]) {
    await opened.write(offset, data)
    model.write(offset, data)
  }
  await model.checkAll(opened, `${when}, after later writes`)
  await opened.flush('stable')
  await examineCrash(bench, image, model, `${when}, after later writes and a flush`)
  await opened.close()
  const again = await bench.open(image)
  await model.checkAll(again, `${when}, after opening again`)
  await checkHealth(again, `${when}, after opening again`)
  await again.close()
  return struck
}

/** Frees a cluster, so that whoever uses it again without writing all of it shows old bytes. */
async function leaveRemains(opened: OpenedImage, model: ByteModel, cluster: number): Promise<void> {
  const { zeroAlignment, maxZero } = opened.limits
  const range = inside({ offset: 3 * cluster, bytes: cluster }, model.size, zeroAlignment, maxZero)
  if (range && opened.instance.zero && (await opened.zero(range.offset, range.bytes, RequestFlag.MAY_UNMAP)) === 'done') model.zero(range.offset, range.bytes)
  await opened.flush('stable')
}

async function examineCrash(bench: FormatBench, image: FormatImage, model: ByteModel, when: string): Promise<void> {
  const opened = await bench.open(image.crash('drop-all', bench.random))
  await model.checkAll(opened, when)
  await checkHealth(opened, when)
  await opened.close()
}
