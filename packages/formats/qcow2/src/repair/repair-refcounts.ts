import type { CheckFix } from '@blockloom/block-driver'
import { compareRefcounts } from '../check/compare-refcounts.ts'
import type { Findings } from '../check/findings.ts'
import type { RefcountReader } from '../check/refcount-reader.ts'
import { eachPass, type Walk } from '../check/walk.ts'
import { refcountFixer } from './fixers.ts'

/**
 * Corrects refcounts where they are, and tells what it does, and what it leaves as it is. Flushes.
 *
 * @returns whether COPIED flags may be wrong
 * @internal
 */
export async function repairRefcounts(walk: Walk, reader: RefcountReader, fix: CheckFix, findings: Findings): Promise<boolean> {
  const repaired = findings.fork()
  const fixer = refcountFixer(walk, reader, fix)
  let suspectsCopied = false
  await eachPass(walk, {}, async (pass) => {
    await compareRefcounts(pass, reader, repaired, fixer)
    suspectsCopied ||= pass.suspectsCopied
  })
  await walk.file.flush('stable')
  findings.add(repaired)
  return suspectsCopied
}
