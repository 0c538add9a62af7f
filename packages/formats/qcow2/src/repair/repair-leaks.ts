import { BlockError } from '@blockloom/block-driver'
import { readCheckedBitmaps } from '../check/bitmaps.ts'
import { openRefcounts } from '../check/check.ts'
import { compareRefcounts } from '../check/compare-refcounts.ts'
import type { Findings } from '../check/findings.ts'
import type { CheckSource } from '../check/pass.ts'
import { readCheckedSnapshots } from '../check/snapshots.ts'
import { eachPass, lengthOf, type Walk } from '../check/walk.ts'
import { repairCopied } from './repair-copied.ts'
import { repairRefcounts } from './repair-refcounts.ts'

/** Of a file, off_t of POSIX: the reference cannot read behind it, and gives up. */
const OFFSET_LIMIT = 2 ** 63

/**
 * Lowers refcounts that are too high. If nothing else is wrong then, COPIED flags are put right too.
 *
 * @returns null if the image cannot be examined, which is told
 * @throws BlockError `corrupt` (EIO) if the refcount structures need to be rebuilt, or if a snapshot's L1 table is at an
 * offset that no file has: what it led to would count as leaked
 * @internal
 */
export async function repairLeaks(source: CheckSource, how: Pick<Walk, 'signal' | 'memory'>, findings: Findings): Promise<Walk | null> {
  const snapshots = await readCheckedSnapshots(source, findings)
  if (snapshots === null) return null
  if (snapshots.snapshots.some(({ l1Offset, l1Entries }) => l1Entries > 0 && l1Offset >= OFFSET_LIMIT)) {
    throw new BlockError('corrupt', 'Not all metadata could be read; nothing is repaired then', { errno: 'EIO' })
  }
  const reader = await openRefcounts(source, findings)
  if (reader === null) return null
  // What is wrong with the snapshot table does not make a repair of flags unsafe; the reference counts it apart, too.
  const ofSnapshots = findings.corruptions
  const { file, area, geometry } = source
  const bitmaps = await readCheckedBitmaps(source, findings)
  const walk: Walk = { file, area, geometry, snapshots, bitmaps, reader, fileLength: await lengthOf(source), ...how, isStrict: true }
  const structures = findings.fork()
  const refcounts = findings.fork()
  let needsRebuild = false
  let suspectsCopied = false
  await eachPass(walk, { findings, refcountFindings: structures }, async (pass) => {
    await compareRefcounts(pass, reader, refcounts)
    needsRebuild ||= pass.needsRebuild
    suspectsCopied ||= pass.suspectsCopied
  })
  if (needsRebuild) {
    throw new BlockError('corrupt', 'need to rebuild refcount structures', { errno: 'EIO' })
  }
  findings.add(structures)
  if (refcounts.leaks === 0 && refcounts.corruptions === 0) findings.add(refcounts)
  else suspectsCopied = await repairRefcounts(walk, reader, 'leaks', findings)
  if (suspectsCopied) await repairCopied(walk, reader, findings, findings.corruptions > ofSnapshots || findings.checkErrors > 0 ? 'tell' : 'in place')
  return walk
}
