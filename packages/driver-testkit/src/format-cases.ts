import { FormatBench } from './bench/format-bench.ts'
import type { Case, CaseOptions } from './case.ts'
import { backingChildCases } from './cases/format/backing-child.ts'
import { bitmapCases } from './cases/format/bitmaps.ts'
import { compressCases } from './cases/format/compress.ts'
import { crashCases } from './cases/format/crash.ts'
import { hostileCases } from './cases/format/hostile.ts'
import { makeEmptyCases } from './cases/format/make-empty.ts'
import { metadataCrashCases } from './cases/format/metadata-crash.ts'
import { metadataCases } from './cases/format/metadata.ts'
import { modeCases } from './cases/format/modes.ts'
import { openFailureCases } from './cases/format/open-failures.ts'
import { probeCases } from './cases/format/probe.ts'
import { snapshotCases } from './cases/format/snapshots.ts'
import { writeErrorCases } from './cases/format/write-errors.ts'
import { sharedDrafts } from './cases/shared/all.ts'
import { casesOf } from './draft.ts'
import type { FormatFixture } from './fixture.ts'

/**
 * The cases of a format.
 *
 * @throws for an exclusion of a case that does not exist, or without a reason
 * @public
 */
export function formatCases(options: CaseOptions = {}): readonly Case<FormatFixture>[] {
  const drafts = [
    ...sharedDrafts, ...probeCases, ...modeCases, ...openFailureCases, ...backingChildCases, ...compressCases, ...metadataCases, ...snapshotCases,
    ...bitmapCases, ...writeErrorCases, ...crashCases, ...metadataCrashCases, ...makeEmptyCases, ...hostileCases,
  ]
  return casesOf<FormatFixture, FormatBench>(drafts, (fixture, random, watch) => new FormatBench(fixture, random, watch), options)
}
