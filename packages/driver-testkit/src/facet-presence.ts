import { isBlockError, type Instance } from '@blockloom/block-driver'
import type { Bench, Image } from './bench/bench.ts'
import { INSTANCE_FACETS, MEMBER_FACETS, type FacetName, type InstanceFacet, type MemberFacet } from './case.ts'
import { check } from './failure.ts'
import type { TestedDriver } from './fixture.ts'

/** What a filter may leave out without losing it: the core forwards it to the filtered child. @internal */
export const FORWARDED: readonly FacetName[] = ['extents', 'writer', 'zero', 'discard', 'resize']

/** True if the table has this facet. @internal */
export function tableHas(driver: TestedDriver, facet: FacetName): boolean {
  switch (facet) {
    case 'measure': return driver.creation?.measure !== undefined
    case 'backingChild': return Object.hasOwn(driver.children, 'backing')
    case 'probe': case 'probeDevice': case 'prefixes': case 'parseFilename': case 'creation': return driver[facet] !== undefined
    default: return false
  }
}

/** True for the facets that an opened image has, not its table. @internal */
export function isInstanceFacet(facet: FacetName): facet is InstanceFacet | MemberFacet {
  return ([...INSTANCE_FACETS, ...MEMBER_FACETS] as readonly string[]).includes(facet)
}

/** A facet that the fixture does not claim is not there, in no mode. @internal */
export async function checkAbsent(bench: Bench, facet: FacetName): Promise<void> {
  if (!isInstanceFacet(facet)) {
    check(!tableHas(bench.fixture.driver, facet), `the driver has '${facet}', which the fixture does not list`)
    return
  }
  // The absence of what is forwarded cannot be seen from outside.
  if (bench.fixture.driver.kind === 'filter' && FORWARDED.includes(facet)) return
  const image = await bench.create()
  if (facet === 'writer') await checkRefusesWriting(bench, image)
  for (const readOnly of bench.has('writer') ? [true, false] : [true]) {
    const opened = await bench.open(image, { readOnly })
    check(memberOf(opened.instance, facet) === undefined, `the image has '${facet}' (readOnly: ${readOnly}), which the fixture does not list`)
    await opened.close()
    check(memberOf(opened.instance, facet) === undefined, `'${facet}' appears when the image is closed`)
  }
}

/** What an instance has under the name of a facet, or of a member such as `snapshots.create`. @internal */
export function memberOf(instance: Instance, facet: InstanceFacet | MemberFacet): unknown {
  return facet.split('.').reduce<unknown>((holder, name) => (holder as Record<string, unknown> | undefined)?.[name], instance)
}

/** "Otherwise the driver opens for writing, and fails if it cannot." */
async function checkRefusesWriting(bench: Bench, image: Image): Promise<void> {
  const session = bench.watchSession(image.session({ readOnly: false }))
  const error: unknown = await session.open().then(
    async (opened) => {
      await opened.closeWithoutFlush()
      return undefined
    },
    (reason: unknown) => reason,
  )
  const refused = isBlockError(error, 'read-only') || isBlockError(error, 'unsupported') || isBlockError(error, 'denied')
  check(refused, 'a driver that cannot write must refuse to open for writing, with the code read-only, unsupported or denied')
}
