import { isBlockError, type CheckOptions, type CheckResult } from '@blockloom/block-driver'
import { readCheckedBitmaps } from './bitmaps.ts'
import { compareRefcounts } from './compare-refcounts.ts'
import { checkCopiedFlags } from './copied-flags.ts'
import { Findings } from './findings.ts'
import type { CheckSource } from './pass.ts'
import { RefcountReader } from './refcount-reader.ts'
import { readCheckedSnapshots } from './snapshots.ts'
import { eachPass, lengthOf } from './walk.ts'

/**
 * Checks the consistency of an image: walks everything that uses clusters and compares with the refcounts. Counts and
 * lines are those of `qemu-img check` 7.2, except that the same problem of a table that several snapshots share is
 * told once (but counted as often as they do).
 *
 * Memory stays below 256 MiB whatever the image says: with very many clusters it walks more than once.
 *
 * @param memory - bytes for counters; only tests change it
 * @internal
 */
export async function checkImage(source: CheckSource, options: Pick<CheckOptions, 'report' | 'signal'>, memory?: number): Promise<CheckResult> {
  const { signal } = options
  signal?.throwIfAborted()
  const findings = new Findings(options.report)
  const snapshots = await readCheckedSnapshots(source, findings)
  if (snapshots === null) return findings.result()
  const reader = await openRefcounts(source, findings)
  if (reader === null) return findings.result()
  const bitmaps = await readCheckedBitmaps(source, findings)
  const { file, area, geometry } = source
  const walk = { file, area, geometry, snapshots, bitmaps, reader, fileLength: await lengthOf(source), signal, memory }
  await eachPass(walk, { findings, refcountFindings: findings }, async (pass) => {
    await compareRefcounts(pass, reader, findings)
    if (pass.suspectsCopied) await checkCopiedFlags(pass, reader, findings)
  })
  return totals(source, findings)
}

/** What a finished check reports. @internal */
export function totals({ area, geometry }: CheckSource, findings: Findings): CheckResult {
  return {
    ...findings.result(),
    imageEndOffset: (findings.highestCluster + 1) * geometry.clusterSize,
    totalClusters: Math.ceil(area.header.size / geometry.clusterSize),
  }
}

/** Reads the refcount table; null if that is impossible, which is told and ends the check. @internal */
export async function openRefcounts(source: CheckSource, findings: Findings): Promise<RefcountReader | null> {
  const { refcountTableOffset, refcountTableClusters } = source.area.header
  const { file, geometry } = source
  const table = new Uint8Array(refcountTableClusters * geometry.clusterSize)
  try {
    if (table.length > 0) await file.read(refcountTableOffset, table)
  } catch (error) {
    if (!isBlockError(error)) throw error
    findings.failure(`ERROR: the refcount table cannot be read: ${error.message}`)
    return null
  }
  return new RefcountReader(file, geometry, table)
}
