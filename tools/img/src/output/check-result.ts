import type { CheckResult } from '@blockloom/block-driver'
import { fixed2 } from './fixed.ts'
import type { Json } from './json.ts'

/** What `check -r` says between repairing and looking again. @internal */
export function repairText({ leaksFixed, corruptionsFixed }: CheckResult): string {
  return `The following inconsistencies were found and repaired:\n\n    ${leaksFixed} leaked clusters\n    ${corruptionsFixed} corruptions\n\nDouble checking the fixed image now...\n`
}

/** The summary of `check` for people. @internal */
export function checkText(result: CheckResult): string {
  const { corruptions, leaks, checkErrors, totalClusters = 0, allocatedClusters = 0, imageEndOffset = 0 } = result
  let text = ''
  if (corruptions === 0 && leaks === 0 && checkErrors === 0) text += 'No errors were found on the image.\n'
  if (corruptions > 0) text += `\n${corruptions} errors were found on the image.\nData may be corrupted, or further writes to the image may corrupt it.\n`
  if (leaks > 0) text += `\n${leaks} leaked clusters were found on the image.\nThis means waste of disk space, but no harm to data.\n`
  if (checkErrors > 0) text += `\n${checkErrors} internal errors have occurred during the check.\n`
  if (totalClusters > 0 && allocatedClusters > 0) {
    const percent = (n: number, of: number): string => `${fixed2((n * 100) / of)}%`
    text += `${allocatedClusters}/${totalClusters} = ${percent(allocatedClusters, totalClusters)} allocated, `
    text += `${percent(result.fragmentedClusters ?? 0, allocatedClusters)} fragmented, ${percent(result.compressedClusters ?? 0, allocatedClusters)} compressed clusters\n`
  }
  if (imageEndOffset > 0) text += `Image end offset: ${imageEndOffset}\n`
  return text
}

/** The same for programs; what is zero is left out. @internal */
export function checkJson(result: CheckResult, filename: string, format: string): Json {
  const nonZero = (n: number | undefined): number | undefined => (n === 0 ? undefined : n)
  return {
    'image-end-offset': nonZero(result.imageEndOffset),
    'compressed-clusters': nonZero(result.compressedClusters),
    'total-clusters': nonZero(result.totalClusters),
    'corruptions-fixed': nonZero(result.corruptionsFixed),
    corruptions: nonZero(result.corruptions),
    'check-errors': result.checkErrors,
    'leaks-fixed': nonZero(result.leaksFixed),
    leaks: nonZero(result.leaks),
    'allocated-clusters': nonZero(result.allocatedClusters),
    filename,
    format,
    'fragmented-clusters': nonZero(result.fragmentedClusters),
  }
}
