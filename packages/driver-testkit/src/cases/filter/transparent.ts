import type { FilterBench } from '../../bench/filter-bench.ts'
import { CHANGES } from '../../child/faults.ts'
import type { Draft } from '../../draft.ts'
import { check, checkBytes } from '../../failure.ts'
import { alignDown } from '../../model/ranges.ts'
import { checkInjected, outcomeOf } from '../errors.ts'

/** @internal */
export const filterDrafts: readonly Draft<FilterBench>[] = [
  {
    name: 'filter: shows exactly the bytes and the size of its child',
    run: async (bench) => {
      const { image } = await bench.filled()
      const opened = await bench.open(image, { readOnly: true })
      check(opened.size === image.file.visible.size, `size() is ${opened.size}, the child has ${image.file.visible.size}`)
      const bytes = alignDown(opened.size, opened.limits.requestAlignment)
      checkBytes(await opened.read(0, bytes), image.file.visible.slice(0, bytes), 'a read through the filter')
      await opened.close()
    },
  },
  {
    name: 'filter: what is written through it and flushed is in its child, on stable storage',
    run: async (bench) => {
      const { image } = await bench.filled()
      const opened = await bench.open(image)
      const data = bench.random.bytes(alignDown(20000, opened.limits.requestAlignment))
      await opened.write(opened.limits.requestAlignment, data)
      await opened.flush('stable')
      const stable = image.file.crash('drop-all', bench.random).visible.slice(opened.limits.requestAlignment, data.length)
      checkBytes(stable, data, 'the child after write, flush and power loss')
      await opened.close()
    },
  },
  {
    name: 'filter: errors of its child come through as they are, and later requests work',
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const session = image.session(bench.mode())
      const opened = await bench.open(image, {}, session)
      const unit = opened.limits.requestAlignment
      for (const errno of ['EIO', 'ENOSPC'] as const) {
        session.faults.arm({ kinds: CHANGES, at: 1, errno })
        const data = bench.random.bytes(unit)
        const write = await outcomeOf(() => opened.write(0, data))
        const flush = await outcomeOf(() => opened.flush('stable'))
        check(!session.faults.struck || !write.ok || !flush.ok, `the filter swallowed ${errno} of its child`)
        for (const outcome of [write, flush]) if (!outcome.ok) checkInjected(outcome.error, session.faults, 'a request through the filter')
        await opened.write(0, data)
        model.write(0, data)
        session.faults.arm({ kinds: ['read'], at: 1, errno })
        const read = await outcomeOf(() => opened.read(2 * unit, unit))
        if (!read.ok) checkInjected(read.error, session.faults, 'a read through the filter')
        else check(!session.faults.struck, `the filter swallowed ${errno} of a read`)
        session.faults.disarm()
        await model.checkAll(opened, 'after errors')
      }
      await opened.close()
    },
  },
  {
    name: 'filter: a failed open of its child fails its own open',
    run: async (bench) => {
      const session = (await bench.create()).session(bench.mode())
      session.faults.arm({ kinds: ['open'], at: 1, errno: 'EIO' })
      const outcome = await outcomeOf(() => session.open())
      check(!outcome.ok, 'the filter opened without its child')
      checkInjected(outcome.error, session.faults, 'open of a filter')
    },
  },
  {
    name: 'filter: declares its child, and asks for it before it is used',
    run: async (bench) => {
      const { driver } = bench.fixture
      check(driver.kind === 'filter', `the kind is '${driver.kind}', expected 'filter'`)
      check(driver.children['file']?.presence === 'required', "a filter has a required child 'file'")
      const session = (await bench.create()).session(bench.mode())
      const opened = await bench.open(await bench.create(), {}, session)
      check(session.children.filter((child) => child.name === 'file').length === 1, "the filter asked for its child 'file' more than once")
      await opened.close()
    },
  },
]
