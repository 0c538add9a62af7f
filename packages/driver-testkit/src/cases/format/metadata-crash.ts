import { isBlockError, parseOptions } from '@blockloom/block-driver'
import type { FormatBench, FormatImage } from '../../bench/format-bench.ts'
import type { OpenedImage } from '../../bench/opened-image.ts'
import type { CrashStyle } from '../../child/disk-file.ts'
import type { FacetName } from '../../case.ts'
import type { Draft } from '../../draft.ts'
import { check } from '../../failure.ts'
import type { ByteModel } from '../../model/byte-model.ts'
import { alignUp } from '../../model/ranges.ts'
import { outcomeOf } from '../errors.ts'
import { checkHealth } from '../health.ts'
import { isFixed } from '../shared/resize.ts'

const STYLES: readonly CrashStyle[] = ['drop-all', 'newest', 'subset', 'torn']
const MOST_CRASHES = 28

interface Change {
  readonly title: string
  readonly needs: readonly FacetName[]
  /** Sizes that the disk may have while this runs. */
  readonly sizes: (bench: FormatBench, opened: OpenedImage, size: number) => number[]
  readonly run: (opened: OpenedImage, sizes: readonly number[], bench: FormatBench) => Promise<unknown>
}

const CHANGES: readonly Change[] = [
  {
    title: 'growing',
    needs: ['resize', 'writer'],
    sizes: (bench, opened, size) => [size, sizeOf(bench, opened, size * 3)],
    run: (opened, [, to]) => opened.resize(to!),
  },
  {
    title: 'taking a snapshot',
    needs: ['snapshots.create', 'writer'],
    sizes: (_bench, _opened, size) => [size],
    run: (opened) => opened.call('snapshots.create()', () => opened.instance.snapshots!.create!({ name: 'now' })),
  },
  {
    title: 'removing a snapshot',
    needs: ['snapshots.create', 'snapshots.remove', 'writer'],
    sizes: (_bench, _opened, size) => [size],
    run: (opened) => opened.call('snapshots.remove()', () => opened.instance.snapshots!.remove!('before')),
  },
  {
    title: 'changing the name of the backing file',
    needs: ['backing.change', 'writer'],
    sizes: (_bench, _opened, size) => [size],
    run: (opened) => opened.call('backing.change()', () => opened.instance.backing!.change!({ filename: 'some other base.img', format: 'raw' })),
  },
  {
    title: 'amending',
    needs: ['amend', 'creation', 'writer'],
    sizes: (_bench, _opened, size) => [size],
    run: (opened, _sizes, bench) => {
      const options = parseOptions(bench.fixture.driver.creation!.amend ?? {}, bench.fixture.amendOptions ?? {})
      return opened.call('amend()', () => opened.instance.amend!.amend(options, { progress: () => {} }))
    },
  },
]

/** @internal */
export const metadataCrashCases: readonly Draft<FormatBench>[] = CHANGES.map((change) => ({
  name: `crash: power fails at any point of ${change.title}; no byte of the guest is lost`,
  needs: change.needs,
  run: async (bench) => {
    if (change.title === 'growing' && isFixed(bench)) return
    const needsSnapshot = change.needs.includes('snapshots.create')
    if (!needsSnapshot && bench.has('snapshots.create')) {
      // Harder with a snapshot, but an image may have no room for one, or refuse the change then.
      const outcome = await outcomeOf(() => crashDuring(bench, change, true))
      if (outcome.ok) return
      if (!isBlockError(outcome.error, 'unsupported') && !isBlockError(outcome.error, 'invalid')) throw outcome.error
    }
    await crashDuring(bench, change, needsSnapshot)
  },
}))

async function crashDuring(bench: FormatBench, change: Change, snapshot: boolean): Promise<void> {
  const { image, model } = await bench.filled()
  if (snapshot) await withSnapshot(bench, image, model)
  const session = image.session(bench.mode())
  const opened = await bench.open(image, {}, session)
  const sizes = change.sizes(bench, opened, model.size)
  const crashes: { image: FormatImage; style: CrashStyle; step: number }[] = []
  const most = await bench.effort(MOST_CRASHES)
  let step = 0
  session.changed = () => {
    step++
    for (const style of STYLES) {
      const slot = crashes.length < most ? crashes.length : bench.random.int(step * STYLES.length)
      if (slot < most) crashes[slot] = { image: image.crash(style, bench.random), style, step }
    }
  }
  await change.run(opened, sizes, bench)
  session.changed = () => {}
  await opened.close()
  for (const crash of crashes) await examine(bench, crash.image, model, sizes, `after a crash (${crash.style}) at change ${crash.step} of ${change.title}`)
}

/** A snapshot, and then some writes: clusters are shared, and some no longer are. */
async function withSnapshot(bench: FormatBench, image: FormatImage, model: ByteModel): Promise<void> {
  const opened = await bench.open(image)
  await opened.call('snapshots.create()', () => opened.instance.snapshots!.create!({ name: 'before' }))
  const data = bench.random.bytes(opened.limits.requestAlignment)
  await opened.write(0, data)
  model.write(0, data)
  await opened.close()
}

async function examine(bench: FormatBench, image: FormatImage, before: ByteModel, sizes: readonly number[], when: string): Promise<void> {
  const model = before.clone()
  const opened = await bench.open(image)
  check(sizes.includes(opened.size), `${when}: the size is ${opened.size}, expected one of ${sizes.join(', ')}`)
  model.resize(opened.size)
  await model.checkAll(opened, when)
  await checkHealth(opened, when)
  const data = bench.random.bytes(opened.size - (opened.size % opened.limits.requestAlignment))
  await opened.write(0, data)
  model.write(0, data)
  await opened.close()
  const again = await bench.open(image, { readOnly: true })
  await model.checkAll(again, `${when}, and a write over everything`)
  await checkHealth(again, `${when}, and a write over everything`)
  await again.close()
}

function sizeOf(bench: FormatBench, opened: OpenedImage, wished: number): number {
  const aligned = alignUp(wished, Math.max(512, opened.limits.requestAlignment))
  return bench.fixture.actualSize?.(aligned) ?? aligned
}
