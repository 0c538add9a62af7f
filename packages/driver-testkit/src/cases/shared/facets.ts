import type { Instance } from '@blockloom/block-driver'
import type { Bench } from '../../bench/bench.ts'
import { DRIVER_FACETS, INSTANCE_FACETS, MEMBER_FACETS, type InstanceFacet } from '../../case.ts'
import type { Draft } from '../../draft.ts'
import { FORWARDED, memberOf, tableHas } from '../../facet-presence.ts'
import { check } from '../../failure.ts'

/** Members that each facet must have if it is there: half a facet is worse than none. The rest are facets of their own. */
const WHOLE: Partial<Record<InstanceFacet, readonly string[]>> = {
  writer: ['write', 'flush'],
  resize: ['preallocations', 'resize'],
  compress: ['granularity', 'write'],
  check: ['check'],
  snapshots: ['list', 'openReadOnly'],
  bitmaps: ['list', 'load'],
  backing: ['named'],
  amend: ['amend'],
  medium: ['inserted', 'eject', 'lock'],
  debug: ['event', 'breakpoint', 'removeBreakpoint', 'resume', 'isSuspended'],
  permissions: ['prepare'],
  aioContext: ['attach', 'detach'],
}

/** @internal */
export const facetCases: readonly Draft<Bench>[] = [
  {
    name: 'facets: exactly those that the fixture lists, and each one whole',
    run: async (bench) => {
      const { driver, facets } = bench.fixture
      for (const facet of DRIVER_FACETS) {
        const listed = facets.includes(facet)
        check(tableHas(driver, facet) === listed, `the table ${listed ? 'lacks' : 'has'} '${facet}', the fixture says otherwise`)
      }
      const opened = await bench.open(await bench.create())
      for (const facet of INSTANCE_FACETS) {
        if (driver.kind === 'filter' && FORWARDED.includes(facet)) continue
        const found = memberOf(opened.instance, facet)
        const listed = facets.includes(facet)
        check((found !== undefined) === listed, `the image ${listed ? 'lacks' : 'has'} '${facet}', the fixture says otherwise`)
        for (const member of listed ? (WHOLE[facet] ?? []) : []) {
          check((found as Record<string, unknown>)[member] !== undefined, `the facet '${facet}' lacks '${member}'`)
        }
        if (listed && WHOLE[facet] === undefined) check(typeof found === 'function', `the facet '${facet}' is not a function`)
      }
      for (const member of MEMBER_FACETS) {
        const found = memberOf(opened.instance, member)
        const listed = facets.includes(member)
        check((found !== undefined) === listed, `the image ${listed ? 'lacks' : 'has'} '${member}', the fixture says otherwise`)
        check(!listed || typeof found === 'function', `'${member}' is not a function`)
      }
      await opened.close()
    },
  },
  {
    name: 'facets: do not change while the image is used, closed and opened again',
    run: async (bench) => {
      const image = await bench.create()
      const present = (instance: Instance) => [...INSTANCE_FACETS, ...MEMBER_FACETS].filter((facet) => memberOf(instance, facet) !== undefined)
      const first = await bench.open(image)
      const before = present(first.instance).join()
      if (first.instance.writer) await first.write(0, bench.random.bytes(first.limits.requestAlignment))
      await first.read(0, first.limits.requestAlignment)
      check(present(first.instance).join() === before, 'the facets changed while the image was used')
      await first.close()
      if (!bench.persistent) return
      const second = await bench.open(image)
      check(present(second.instance).join() === before, 'the facets differ after close and open')
      await second.close()
    },
  },
]
