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
  /** A COPIED flag may be wrong: the active tables need a second look. */
  suspectsCopied: boolean
  readonly signal: AbortSignal | undefined
}

/**
 * Counts uses of the clusters that hold `length` bytes from `offset` on.
 *
 * @param use - one of `USE`
 * @param hex - the offset for messages, if the number is not exact
 * @internal
 */
export function markRegion(pass: Pass, offset: number, length: number, times = 1, use: number = USE.plain, hex?: string): void {
  if (length <= 0) return
  const { clusterSize } = pass.geometry
  if (offset + length - pass.fileLength >= clusterSize) {
    if (use !== USE.plain) pass.suspectsCopied = true
    if (!pass.first) return
    const region = `offset 0x${hex ?? offset.toString(16)} size 0x${length.toString(16)}`
    pass.findings.corruption(`ERROR: counting reference for region exceeding the end of the file by one cluster or more: ${region}`, times)
    return
  }
  // The flag is the first cluster's; what is not aligned needs a closer look.
  if (use !== USE.plain && offset % clusterSize !== 0) pass.suspectsCopied = true
  const first = Math.floor(offset / clusterSize)
  const count = Math.floor((offset + length - 1) / clusterSize) + 1 - first
  pass.counts.add(first, count, times, use)
  if (first + count > pass.clusters) pass.clusters = first + count
}

/** The problem of a cluster that is used more often than a refcount can say. @internal */
export function tellExcess(findings: Findings, clusterSize: number, cluster: number, times: number): void {
  findings.corruption(`ERROR: overflow cluster offset=0x${(cluster * clusterSize).toString(16)}\n${WIDEN}`, times)
}

const WIDEN =
  'Use qemu-img amend to increase the refcount entry width or qemu-img convert to create a clean copy if the image cannot be opened for writing'
