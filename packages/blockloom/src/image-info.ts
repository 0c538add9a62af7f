import type { BlockNode } from '@blockloom/block-core'
import type { SnapshotInfo } from '@blockloom/block-driver'
import { backingPath } from './backing-path.ts'

/** What can be said about an image without reading guest data; named as in QAPI `ImageInfo`. Sizes are bytes. @public */
export interface ImageInfo {
  readonly filename: string
  readonly format: string
  /** Rounded up to whole sectors. */
  readonly 'virtual-size': number
  /** Space used on the host; absent if it is not known. */
  readonly 'actual-size'?: number
  readonly 'cluster-size'?: number
  readonly encrypted?: true
  /** The image was not closed properly; absent if the driver cannot tell. */
  readonly 'dirty-flag'?: boolean
  /** The backing file as the image names it. */
  readonly 'backing-filename'?: string
  /** The same, relative to the working directory; absent where that cannot be said. */
  readonly 'full-backing-filename'?: string
  readonly 'backing-filename-format'?: string
  /** Absent if there are none. */
  readonly snapshots?: readonly SnapshotInfo[]
  readonly 'format-specific'?: { readonly type: string; readonly data: Readonly<Record<string, unknown>> }
}

const SECTOR = 512

/**
 * Describes one image, not what is below it. Metadata suffices: open it with `noIo` and `noBacking`.
 *
 * @example
 * ```ts
 * await using disk = await openImage('vm.qcow2', { format: 'qcow2', noIo: true, noBacking: true })
 * console.log((await imageInfo(disk.node))['virtual-size'])
 * ```
 * @public
 */
export async function imageInfo(node: BlockNode): Promise<ImageInfo> {
  const actual = await node.allocatedSize()
  const { clusterSize } = node.limits
  const named = node.backingReference?.named
  const full = named == null ? undefined : backingPath(node.filename, named.filename)
  const snapshots = node.snapshots?.list() ?? []
  // Formats without such a flag are never dirty; most protocols cannot say.
  const dirty = node.driver.kind === 'protocol' && node.driver.name !== 'file' ? {} : { 'dirty-flag': false }
  return {
    filename: node.filename,
    format: node.driver.name,
    'virtual-size': Math.ceil(node.size / SECTOR) * SECTOR,
    ...(actual === undefined ? {} : { 'actual-size': actual }),
    ...(clusterSize === 0 ? {} : { 'cluster-size': clusterSize }),
    ...dirty,
    ...(named == null ? {} : { 'backing-filename': named.filename }),
    ...(full === undefined ? {} : { 'full-backing-filename': full }),
    ...(named?.format === undefined ? {} : { 'backing-filename-format': named.format }),
    ...(snapshots.length === 0 ? {} : { snapshots }),
    // What only the driver knows, under the same names.
    ...(await node.info()),
  }
}
