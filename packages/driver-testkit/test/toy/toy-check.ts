import type { CheckOptions, CheckResult } from '@blockloom/block-driver'
import { SECTOR } from './on-disk.ts'
import { hostOf, type ToyImage } from './toy-image.ts'

/** Entries lie on clusters inside the file, and no two of one table share one. */
export async function checkToy(image: ToyImage, { report }: CheckOptions): Promise<CheckResult> {
  let corruptions = 0
  const fileSize = await image.file.size()
  const complain = (line: string) => {
    corruptions++
    report?.(line, 'error')
  }
  for (const table of [image.entries, ...image.snapshotTables]) {
    const seen = new Set<number>()
    for (const entry of table) {
      const host = hostOf(entry)
      if (host === 0) continue
      if (host % image.cluster !== 0 || host < SECTOR) complain(`entry ${entry} is not on a cluster`)
      else if (host >= Math.max(fileSize, image.end)) complain(`entry ${entry} is past the end of the file`)
      if (seen.has(host)) complain(`cluster ${host} is used twice`)
      if (image.free.includes(host)) complain(`cluster ${host} is used and free`)
      seen.add(host)
    }
  }
  return { corruptions, leaks: 0, checkErrors: 0, corruptionsFixed: 0, leaksFixed: 0, totalClusters: image.clusters }
}
