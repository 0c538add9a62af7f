import { parseOptions } from '@blockloom/block-driver'
import type { FormatBench } from '../../bench/format-bench.ts'
import type { OpenedImage } from '../../bench/opened-image.ts'
import { SparseBytes } from '../../child/sparse-bytes.ts'
import type { Draft } from '../../draft.ts'
import { check } from '../../failure.ts'
import { checkHealth, checkReopened } from '../health.ts'

/** @internal */
export const metadataCases: readonly Draft<FormatBench>[] = [
  {
    name: 'check: a new image and one that was written to are sound, and checking changes nothing',
    needs: ['check'],
    run: async (bench) => {
      const fresh = await bench.create()
      const { image, model } = await bench.filled()
      for (const one of [fresh, image]) {
        const session = one.session(bench.mode())
        const opened = await bench.open(one, {}, session)
        await settleFiles(opened)
        const before = session.hash()
        const result = (await checkHealth(opened, 'on a sound image', 'none'))!
        for (const [name, value] of Object.entries(result)) {
          check(Number.isSafeInteger(value) && value >= 0, `check: ${name} is ${String(value)}`)
        }
        check(result.corruptionsFixed === 0 && result.leaksFixed === 0, 'check fixed something on a sound image')
        check(session.hash() === before, 'check with fix: none changed the file')
        await opened.close()
      }
      await checkReopened(bench, image, model, 'after check')
    },
  },
  {
    name: 'check: repairing a sound image changes no byte of the guest',
    needs: ['check', 'writer'],
    run: async (bench) => {
      const { image, model } = await bench.filled()
      for (const fix of ['leaks', 'errors'] as const) {
        const opened = await bench.open(image, { forCheck: true })
        if (opened.instance.check!.fixes?.includes(fix) !== true) {
          await opened.close()
          continue
        }
        const result = await opened.call(`check({ fix: '${fix}' })`, () => opened.instance.check!.check({ fix }))
        check(result.corruptions === 0 && result.checkErrors === 0, `check with fix: ${fix} finds problems in a sound image`)
        await model.checkAll(opened, `after check with fix: ${fix}`)
        await opened.close()
      }
      await checkReopened(bench, image, model, 'after repair')
    },
  },
  {
    name: 'backing name: as created, changed, removed, and read again',
    needs: ['backing', 'backingChild', 'creation'],
    run: async (bench) => {
      const base = new SparseBytes()
      base.write(0, bench.random.bytes(4096))
      const image = await bench.create(await bench.size(), base)
      const named = async (expected: string | null) => {
        const opened = await bench.open(image, { readOnly: true })
        const found = opened.instance.backing!.named?.filename ?? null
        check(found === expected, `backing.named is ${String(found)}, expected ${String(expected)}`)
        await opened.close()
      }
      const plain = await bench.open(await bench.create(), { readOnly: true })
      check(plain.instance.backing!.named === null, 'an image without a backing file names one')
      await plain.close()
      await named('base.img')
      if (!bench.has('backing.change')) return
      for (const to of [{ filename: 'other-directory/a longer name of a base.img', format: 'raw' }, { filename: 'b' }, null]) {
        const opened = await bench.open(image)
        await opened.call('backing.change()', () => opened.instance.backing!.change!(to))
        await checkHealth(opened, 'after backing.change')
        await opened.close()
        await named(to?.filename ?? null)
      }
    },
  },
  {
    name: 'measure: enough for the empty image, and for the full one',
    needs: ['measure', 'creation', 'writer'],
    run: async (bench) => {
      const size = await bench.size()
      const creation = bench.fixture.driver.creation!
      const options = parseOptions(creation.options, bench.createOptions(size, false)) as never
      const full = async function* () {
        yield { kind: 'data', bytes: size } as const
      }
      const empty = await creation.measure!({ options, size })
      const whole = await creation.measure!({ options, size, source: full() })
      for (const { required, fullyAllocated } of [empty, whole]) {
        check(Number.isSafeInteger(required) && required >= 0, `measure: required is ${required}`)
        check(Number.isSafeInteger(fullyAllocated) && fullyAllocated >= required, `measure: fullyAllocated ${fullyAllocated} is less than required ${required}`)
      }
      // Its options may not fit what create makes.
      if (bench.fixture.sample) return
      const image = await bench.createNew(size)
      // A data file is as long as the disk, whether a measurement counts it or not.
      const used = () => image.files.get('file')!.visible.size
      check(used() <= empty.required, `measure says ${empty.required} for an empty image, it takes ${used()}`)
      const opened = await bench.open(image)
      await opened.write(0, bench.random.bytes(opened.size))
      await opened.close()
      check(used() <= whole.required, `measure says ${whole.required} for a full image, it takes ${used()}`)
      check(used() <= empty.fullyAllocated, `measure says ${empty.fullyAllocated} fully allocated, it takes ${used()}`)
    },
  },
  {
    name: 'amend: changes options and no byte of the guest',
    needs: ['amend', 'creation', 'writer'],
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const opened = await bench.open(image)
      const schema = bench.fixture.driver.creation!.amend
      check(schema !== undefined, "the image has 'amend', but the table has no 'creation.amend'")
      const options = parseOptions(schema, bench.fixture.amendOptions ?? {})
      let last = 0
      let end: number | undefined
      await opened.call('amend()', () => opened.instance.amend!.amend(options, {
        progress: (done, total) => {
          check(done >= last && done <= total, `amend reports ${done} of ${total} after ${last}`)
          last = done
          end = total
        },
      }))
      check(end === undefined || last === end, `amend is done, and has reported ${last} of ${end}`)
      await model.checkAll(opened, 'after amend')
      await checkHealth(opened, 'after amend')
      await opened.close()
      await checkReopened(bench, image, model, 'after amend and opening again')
    },
  },
]

/** So that a flush that check begins with has nothing to write. */
async function settleFiles(opened: OpenedImage): Promise<void> {
  if (opened.instance.writer) await opened.flush('stable')
}
