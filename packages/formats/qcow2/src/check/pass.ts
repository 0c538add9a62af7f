import type { ChildHandle } from '@blockloom/block-driver'
import type { DecodedHeaderArea } from '../on-disk/header-area.ts'
import type { Geometry } from '../units.ts'
import type { Findings } from './findings.ts'
import { USE, type ReferenceCounts } from './reference-counts.ts'

/** What a check needs of an image: it runs on images that are too broken for anything else. @internal */
export interface CheckSource {
  readonly file: ChildHandle
  readonly area: DecodedHeaderArea
  readonly geometry: Geometry
}

/** One walk over all metadata; most images need just one. @internal */
export interface Pass extends CheckSource {
  /** Problems that do not depend on which clusters are counted are told in the first pass only. */
  readonly first: boolean
  readonly findings: Findings
  readonly counts: ReferenceCounts
  /** Bytes of the image file, in whole sectors. */
  readonly fileLength: number
  /** Clusters of the image file; grows if something reaches less than a cluster beyond it. */
  clusters: number
  /** Something could not be read, so uses may be missing. */
  isIncomplete: boolean
  /** A COPIED flag may be wrong: the active tables need a second look. */
  suspectsCopied: boolean
  readonly signal: AbortSignal | undefined
  /** Entries and tables that cannot stay as they are will be mended: they are told as repairs. */
  readonly mends: boolean
  /** There is something of that kind. */
  mendable: boolean
  /** Refcounts cannot be corrected one by one: the refcount structures need to be made anew. */
  needsRebuild: boolean
  /** Refcount blocks are said to be behind the end of the file, or cannot be read. */
  lacksBlocks: boolean
  /** A cluster is used more often than a refcount can say. */
  overflows: boolean
  /** L2 tables do not count as uses of their clusters, they only set the flag `USE.copied` there. */
  readonly marksTables: boolean
}

/**
 * A problem of an entry or table, in the words of the reference; in a repair it is one that will be mended.
 *
 * @internal
 */
export function entryProblem(pass: Pass, line: string, times = 1): void {
  if (pass.mends) {
    pass.mendable = true
    if (pass.first) pass.findings.corruptionFixed(line.replace(/^ERROR(?: found)?/, 'Repairing'), times)
  } else if (pass.first) pass.findings.corruption(line, times)
}

/**
 * Counts uses of the clusters that hold `length` bytes from `offset` on.
 *
 * @param use - one of `USE`
 * @param hex - the offset for messages, if the number is not exact
 * @returns whether they are inside the file, except for less than a cluster
 * @internal
 */
export function markRegion(pass: Pass, offset: number, length: number, times = 1, use: number = USE.plain, hex?: string): boolean {
  if (length <= 0) return true
  const { clusterSize } = pass.geometry
  if (reachesTooFar(pass, offset, length)) {
    if (use !== USE.plain) pass.suspectsCopied = true
    entryProblem(pass, tooFar(hex ?? offset.toString(16), length), times)
    return false
  }
  // The flag is the first cluster's; what is not aligned needs a closer look.
  if (use !== USE.plain && offset % clusterSize !== 0) pass.suspectsCopied = true
  const first = Math.floor(offset / clusterSize)
  const count = Math.floor((offset + length - 1) / clusterSize) + 1 - first
  pass.counts.add(first, count, times, pass.marksTables ? USE.plain : use)
  if (first + count > pass.clusters) pass.clusters = first + count
  return true
}

/** A region ends a cluster or more behind the end of the file. @internal */
export function reachesTooFar({ fileLength, geometry }: Pick<Pass, 'fileLength' | 'geometry'>, offset: number, length: number): boolean {
  return offset + length - fileLength >= geometry.clusterSize
}

/** The problem of such a region. @internal */
export function tooFar(offset: string, length: number): string {
  return `ERROR: counting reference for region exceeding the end of the file by one cluster or more: offset 0x${offset} size 0x${length.toString(16)}`
}

/** The problem of a cluster that is used more often than a refcount can say. @internal */
export function tellExcess(findings: Findings, clusterSize: number, cluster: number, times: number, widens: boolean): void {
  const what = `overflow cluster offset=0x${(cluster * clusterSize).toString(16)}`
  if (widens) findings.corruptionFixed(`Repairing ${what}`, times)
  else findings.corruption(`ERROR: ${what}\n${WIDEN}`, times)
}

const WIDEN =
  'Use qemu-img amend to increase the refcount entry width or qemu-img convert to create a clean copy if the image cannot be opened for writing'
