import { FilterBench } from './bench/filter-bench.ts'
import type { Case, CaseOptions } from './case.ts'
import { filterDrafts } from './cases/filter/transparent.ts'
import { sharedDrafts } from './cases/shared/all.ts'
import { casesOf } from './draft.ts'
import { FORWARDED } from './facet-presence.ts'
import type { FilterFixture } from './fixture.ts'

/**
 * The cases of a filter. What the filter leaves out is forwarded to its child as the core does, so all cases of reading and
 * writing run, whatever it implements itself.
 *
 * @throws for an exclusion of a case that does not exist, or without a reason
 * @public
 */
export function filterCases(options: CaseOptions = {}): readonly Case<FilterFixture>[] {
  const drafts = [...filterDrafts, ...sharedDrafts].map((draft) => ({ ...draft, needs: (draft.needs ?? []).filter((facet) => !FORWARDED.includes(facet)) }))
  return casesOf<FilterFixture, FilterBench>(drafts, (fixture, random, watch) => new FilterBench(fixture, random, watch), options)
}
