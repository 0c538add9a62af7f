import { compareRefcounts } from '../check/compare-refcounts.ts'
import { checkCopiedFlags } from '../check/copied-flags.ts'
import { Findings } from '../check/findings.ts'
import type { RefcountReader } from '../check/refcount-reader.ts'
import { eachPass, type Walk } from '../check/walk.ts'
import { copiedFixer, type Postponed } from './fixers.ts'
import { findSharedTables, type SharedTables } from './shared-tables.ts'

/**
 * Puts right COPIED flags, from the refcounts as they are in the file. Flushes.
 *
 * @param how - `tell` what is wrong; mend it `in place`, and tell what cannot be mended there; or mend everything, where
 *   tables that have to be moved for that are left to the caller
 * @internal
 */
export async function repairCopied(walk: Walk, reader: RefcountReader, findings: Findings, how: 'tell' | 'in place' | Postponed): Promise<void> {
  const refcounts = new Findings(undefined)
  let finding: Promise<SharedTables> | undefined
  await eachPass(walk, {}, async (pass) => {
    await compareRefcounts(pass, reader, refcounts)
    if (!pass.suspectsCopied) return
    if (how !== 'tell') finding ??= findSharedTables(walk)
    const fixer = finding === undefined ? undefined : copiedFixer(walk, await finding, typeof how === 'string' ? null : how)
    await checkCopiedFlags(pass, reader, findings, fixer)
  })
  findings.highestCluster = Math.max(findings.highestCluster, refcounts.highestCluster)
  await walk.file.flush('stable')
}
