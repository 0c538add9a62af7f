/**
 * The conformance suite for block drivers: the test runner is yours, the cases are data, the children are ours.
 *
 * @example A format, with vitest
 * ```ts
 * import { describe, it } from 'vitest'
 * import { formatCases, register } from '@blockloom/driver-testkit'
 * import { myFormat } from '../src/index.ts'
 *
 * register(
 *   formatCases(),
 *   () => ({ driver: myFormat, facets: ['writer', 'extents', 'info', 'probe', 'creation'] }),
 *   { describe, it },
 * )
 * ```
 *
 * @packageDocumentation
 */
export { DRIVER_FACETS, INSTANCE_FACETS, MEMBER_FACETS, runCase } from './case.ts'
export type { Case, CaseOptions, FacetName, InstanceFacet, MemberFacet } from './case.ts'
export { filterCases } from './filter-cases.ts'
export type { ChildTraits, FilterFixture, Fixture, FormatFixture, ImageRequest, ProtocolFixture, SampleImage, TestedDriver } from './fixture.ts'
export { formatCases } from './format-cases.ts'
export { protocolCases } from './protocol-cases.ts'
export { register } from './register.ts'
export type { Runner } from './register.ts'
export { realWatchdog } from './watchdog.ts'
export type { Watchdog } from './watchdog.ts'
