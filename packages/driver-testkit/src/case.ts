import type { Fixture } from './fixture.ts'
import type { Watchdog } from './watchdog.ts'

/** Facets of an instance, by the name of the member. @public */
export const INSTANCE_FACETS = [
  'extents', 'writer', 'zero', 'discard', 'resize', 'compress', 'check', 'snapshots', 'bitmaps', 'backing', 'amend', 'medium', 'debug',
  'permissions', 'reopen', 'aioContext', 'makeEmpty', 'allocatedSize', 'invalidate', 'info',
] as const

/** Members of facets that are capabilities of their own: an image may have some and not the others. @public */
export const MEMBER_FACETS = ['snapshots.create', 'snapshots.revert', 'snapshots.remove', 'bitmaps.store', 'bitmaps.remove', 'backing.change'] as const

/** Facets of a driver's table. `measure` is `creation.measure`; `backingChild` is a slot `backing` among the children. @public */
export const DRIVER_FACETS = ['probe', 'probeDevice', 'prefixes', 'parseFilename', 'creation', 'measure', 'backingChild'] as const

/** @public */
export type InstanceFacet = (typeof INSTANCE_FACETS)[number]

/** @public */
export type MemberFacet = (typeof MEMBER_FACETS)[number]

/** @public */
export type FacetName = InstanceFacet | MemberFacet | (typeof DRIVER_FACETS)[number]

/**
 * One case: data, not a call, so that any runner can list, filter and count.
 *
 * @typeParam F - the fixture it runs on
 * @public
 */
export interface Case<F extends Fixture = Fixture> {
  readonly name: string
  /** Facets without which the case has nothing to run on: then `refused` runs instead. */
  readonly needs: readonly FacetName[]
  /** Why this case is expected to fail here. */
  readonly excluded?: string
  run(fixture: F): Promise<void>
  /** Checks that a facet is really not there, and not half there, whatever the mode. */
  refused(fixture: F, missing: FacetName): Promise<void>
}

/** @public */
export interface CaseOptions {
  /**
   * Cases that are known to fail, by name, with the reason. They still run, and the suite fails when one passes: then the
   * exclusion is to be removed.
   */
  readonly exclude?: Readonly<Record<string, string>>
  /** Seed of all random choices, printed in failures. Default 1. */
  readonly seed?: number
  /** Guards each request against hanging. Default: {@link realWatchdog} with 3 s. */
  readonly watchdog?: Watchdog
}

/** Runs a case, or the check that takes its place if the fixture lacks a facet. @public */
export async function runCase<F extends Fixture>(testCase: Case<F>, fixture: F): Promise<void> {
  try {
    const missing = testCase.needs.find((facet) => !fixture.facets.includes(facet))
    await (missing === undefined ? testCase.run(fixture) : testCase.refused(fixture, missing))
  } finally {
    await fixture.dispose?.()
  }
}
