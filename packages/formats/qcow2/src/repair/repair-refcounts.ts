import type { CheckFix } from '@blockloom/block-driver'
import { compareRefcounts } from '../check/compare-refcounts.ts'
import type { Findings } from '../check/findings.ts'
import type { RefcountReader } from '../check/refcount-reader.ts'
import { eachPass, type Walk } from '../check/walk.ts'
import { firstExceeding } from './exceeding.ts'
import { refcountFixer } from './fixers.ts'
import { FreedClusters } from './freed-clusters.ts'

/**
 * Corrects refcounts where they are, and tells what it does, and what it leaves as it is. Flushes, and gives back the
 * space of clusters that are free then.
 *
 * @returns whether COPIED flags may be wrong
 * @internal
 */
export async function repairRefcounts(walk: Walk, reader: RefcountReader, fix: CheckFix, findings: Findings): Promise<boolean> {
  const repaired = findings.fork()
  const freed = new FreedClusters(walk.file, walk.geometry.clusterSize, firstExceeding(walk))
  const fixer = refcountFixer(walk, reader, fix, freed)
  let suspectsCopied = false
  await eachPass(walk, {}, async (pass) => {
    await compareRefcounts(pass, reader, repaired, fixer)
    suspectsCopied ||= pass.suspectsCopied
  })
  await freed.discard()
  findings.add(repaired)
  return suspectsCopied
}
