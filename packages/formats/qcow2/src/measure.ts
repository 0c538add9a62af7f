import { BlockError, type Extent, type Measurement, type MeasureContext, type StoredBitmap } from '@blockloom/block-driver'
import type { Qcow2CreateOptions } from './create-options.ts'
import { checkClusterSize, checkRefcountBits, versionOf } from './create-settings.ts'
import { newEncryption } from './encryption/create-encryption.ts'
import { assertKeySecret } from './encryption/passphrase.ts'
import { bitmapBytesFor, bitmapTableEntriesFor } from './on-disk/bitmap-directory.ts'
import { MAX_L1_BYTES } from './on-disk/limits.ts'
import { encodeName } from './on-disk/names.ts'
import { clustersFor, createGeometry, l1EntriesFor, roundUpToCluster, type Geometry } from './units.ts'

const SECTOR_SIZE = 512

/**
 * How large an image file would become: `required` for what the source has now, `fullyAllocated` if every cluster is
 * written. Tables are counted for the whole disk. An external data file is counted as part of the image, as by
 * qemu-img.
 *
 * With `backing_file` a source that is given counts as full: what the backing file already has is not known.
 *
 * @throws BlockError `invalid` for options that no image can have, or a size beyond what the cluster size can map
 * @internal
 */
export async function measureQcow2(context: MeasureContext<Qcow2CreateOptions>): Promise<Measurement> {
  const { options, source } = context
  const geometry = measuredGeometry(options)
  const size = Math.ceil(context.size / SECTOR_SIZE) * SECTOR_SIZE
  const metadata = metadataBytes(geometry, size) + encryptionBytes(options, geometry)
  const data = clustersFor(geometry, size) * geometry.clusterSize
  const fullyAllocated = metadata + data
  const preallocated = options.preallocation === 'falloc' || options.preallocation === 'full'
  if (preallocated) return { required: fullyAllocated, fullyAllocated }
  if (source === undefined) return { required: metadata, fullyAllocated }
  if (options.backing_file !== undefined) return { required: fullyAllocated, fullyAllocated }
  return { required: metadata + (await allocatedBytes(source, geometry.clusterSize)), fullyAllocated }
}

/**
 * Bytes that persistent bitmaps of a disk take in an image: directory, tables and all of their bits.
 *
 * @internal
 */
export function measureBitmaps(bitmaps: readonly Pick<StoredBitmap, 'name' | 'granularity'>[], size: number, clusterSize: number): number {
  const geometry = createGeometry({ clusterBits: Math.log2(clusterSize), refcountOrder: 4, extendedL2: false })
  let directory = 0
  let clusters = 0
  for (const { name, granularity } of bitmaps) {
    const bits = Math.log2(granularity)
    directory += Math.ceil((24 + encodeName(name).length) / 8) * 8
    clusters += clustersFor(geometry, bitmapTableEntriesFor(geometry, size, bits) * 8) + clustersFor(geometry, bitmapBytesFor(size, bits))
  }
  return (clusters + clustersFor(geometry, directory)) * clusterSize
}

function measuredGeometry(options: Qcow2CreateOptions): Geometry {
  const clusterBits = checkClusterSize(options.cluster_size, options.extended_l2)
  const version = versionOf(options.compat)
  if (version === undefined) {
    throw new BlockError('invalid', `Invalid compatibility level: '${options.compat}'`, { detail: { option: 'compat' } })
  }
  const refcountOrder = checkRefcountBits(options.refcount_bits, version, 'compat=1.1')
  return createGeometry({ clusterBits, refcountOrder, extendedL2: options.extended_l2 })
}

/** The encryption header in whole clusters. Only LUKS has one; the reference looks at no other option if it is not LUKS. */
function encryptionBytes(options: Qcow2CreateOptions, geometry: Geometry): number {
  if (options.encrypt?.format !== 'luks') return 0
  const { keySecret, headerBytes } = newEncryption({ ...options, encryption: false })!
  assertKeySecret(keySecret)
  return roundUpToCluster(geometry, headerBytes)
}

/** Header, L1 and L2 tables of the whole disk, and the refcounts of these, of themselves and of all data. */
function metadataBytes(geometry: Geometry, size: number): number {
  const l1Entries = l1EntriesFor(geometry, size)
  if (l1Entries * 8 > MAX_L1_BYTES) {
    throw new BlockError('invalid', 'The image size is too large (try using a larger cluster size)', {
      errno: 'EFBIG',
      detail: { option: 'size' },
    })
  }
  const tables = 1 + clustersFor(geometry, l1Entries * 8) + l1Entries
  const counted = tables + clustersFor(geometry, size)
  let refcounts = 0
  for (;;) {
    const blocks = Math.ceil((counted + refcounts) / geometry.refcountBlockEntries)
    const needed = blocks + Math.ceil(blocks / geometry.tableEntriesPerCluster)
    if (needed === refcounts) break
    refcounts = needed
  }
  return (tables + refcounts) * geometry.clusterSize
}

/** Bytes of the clusters that have data in them. */
async function allocatedBytes(source: AsyncIterable<Extent>, clusterSize: number): Promise<number> {
  let total = 0
  let at = 0
  // Behind the last cluster that was counted.
  let counted = 0
  for await (const extent of source) {
    const end = at + extent.bytes
    if ((extent.kind === 'data' || extent.kind === 'encoded') && end > counted) {
      const from = Math.max(counted, at - (at % clusterSize))
      counted = Math.ceil(end / clusterSize) * clusterSize
      total += counted - from
    }
    at = end
  }
  return total
}
