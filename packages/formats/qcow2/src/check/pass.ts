import type { ChildHandle } from '@blockloom/block-driver'
import type { DecodedHeaderArea } from '../on-disk/header-area.ts'
import type { Geometry } from '../units.ts'
import type { Findings } from './findings.ts'
import type { ReferenceCounts } from './reference-counts.ts'

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
  readonly signal: AbortSignal | undefined
}

/**
 * Counts uses of the clusters that hold `length` bytes from `offset` on.
 *
 * @param hex - the offset for messages, if the number is not exact
 * @internal
 */
export function markRegion(pass: Pass, offset: number, length: number, times = 1, hex = offset.toString(16)): void {
  if (length <= 0) return
  const { clusterSize } = pass.geometry
  if (offset + length - pass.fileLength >= clusterSize) {
    if (!pass.first) return
    const region = `offset 0x${hex} size 0x${length.toString(16)}`
    pass.findings.corruption(`ERROR: counting reference for region exceeding the end of the file by one cluster or more: ${region}`, times)
    return
  }
  const last = Math.floor((offset + length - 1) / clusterSize)
  for (let cluster = Math.floor(offset / clusterSize); cluster <= last; cluster++) markCluster(pass, cluster, times)
  if (last >= pass.clusters) pass.clusters = last + 1
}

/** Counts uses of a cluster inside the file. @internal */
export function markCluster(pass: Pass, cluster: number, times: number): void {
  const excess = pass.counts.add(cluster, times)
  if (excess === 0) return
  const { findings, geometry } = pass
  findings.corruption(`ERROR: overflow cluster offset=0x${(cluster * geometry.clusterSize).toString(16)}\n${WIDEN}`, excess)
}

const WIDEN =
  'Use qemu-img amend to increase the refcount entry width or qemu-img convert to create a clean copy if the image cannot be opened for writing'
