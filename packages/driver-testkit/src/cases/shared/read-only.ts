import type { Bench } from '../../bench/bench.ts'
import { MEMBER_FACETS } from '../../case.ts'
import type { Draft } from '../../draft.ts'
import { memberOf } from '../../facet-presence.ts'
import { check } from '../../failure.ts'

/** Facets that only change something. */
const CHANGING = ['writer', 'zero', 'discard', 'resize', 'compress', 'amend', 'makeEmpty'] as const

/** @internal */
export const readOnlyCases: readonly Draft<Bench>[] = [
  {
    name: 'read-only: has nothing that changes the image',
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const opened = await bench.open(image, { readOnly: true })
      for (const facet of CHANGING) check(opened.instance[facet] === undefined, `a read-only image has '${facet}'`)
      for (const member of MEMBER_FACETS) check(memberOf(opened.instance, member) === undefined, `a read-only image has '${member}'`)
      if (bench.persistent) await model.checkAll(opened, 'read-only')
      await opened.close()
    },
  },
  {
    name: 'read-only: nothing is written below, whatever is asked',
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const session = image.session(bench.mode({ readOnly: true }))
      const before = session.hash()
      const opened = await bench.open(image, {}, session)
      if (bench.persistent) await model.checkAll(opened, 'read-only')
      if (opened.instance.extents) await opened.extent(0, model.size)
      if (opened.instance.info) await opened.call('info()', () => opened.instance.info!())
      if (opened.instance.check) await opened.call('check()', () => opened.instance.check!.check({ fix: 'none' }))
      opened.instance.snapshots?.list()
      opened.instance.bitmaps?.list()
      await opened.close()
      check(session.hash() === before, 'the files below have changed')
      for (const { kind, child } of session.recorded) {
        check(!['write', 'zero', 'discard', 'resize'].includes(kind), `a read-only image made a ${kind} request to child '${child}'`)
      }
    },
  },
]
