import type { Bench } from '../../bench/bench.ts'
import type { Draft } from '../../draft.ts'
import { concurrentCases } from './concurrent.ts'
import { discardCases } from './discard.ts'
import { extentCases } from './extents.ts'
import { facetCases } from './facets.ts'
import { factCases } from './facts.ts'
import { lifecycleCases } from './lifecycle.ts'
import { readOnlyCases } from './read-only.ts'
import { readWriteCases } from './read-write.ts'
import { resizeCases } from './resize.ts'
import { tableCases } from './table.ts'
import { zeroCases } from './zero.ts'

/** Cases that make sense for every kind of driver. @internal */
export const sharedDrafts: readonly Draft<Bench>[] = [
  ...tableCases, ...facetCases, ...lifecycleCases, ...readOnlyCases, ...readWriteCases, ...concurrentCases, ...zeroCases, ...discardCases,
  ...extentCases, ...resizeCases, ...factCases,
]
