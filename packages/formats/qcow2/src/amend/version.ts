import { BlockError, isBlockError } from '@blockloom/block-driver'
import { zlibRaw } from '@blockloom/driver-kit/codecs'
import { switchBitmaps } from '../bitmaps/switch-directory.ts'
import { CompressedReader } from '../compressed-read.ts'
import { rewriteHeaderArea } from '../header-rewrite.ts'
import type { Qcow2Image } from '../image.ts'
import { switchMetadata } from '../metadata-switch.ts'
import { defaultFeatureNames } from '../on-disk/feature-names.ts'
import { NO_FEATURES } from '../on-disk/features.ts'
import { NO_BITS } from '../on-disk/integers.ts'
import { classifyCluster } from '../on-disk/l2.ts'
import { V2_HEADER_LENGTH, V3_HEADER_LENGTH } from '../on-disk/limits.ts'
import { encodeSnapshotTable, isCompleteSnapshotEntry } from '../on-disk/snapshot-table.ts'
import { RefcountDeltas } from '../refcount-deltas.ts'
import type { SnapshotStore } from '../snapshot-store.ts'
import { clustersFor, hostOffset } from '../units.ts'
import type { Qcow2Writer } from '../writer.ts'
import { eachTableOfAll } from './each-table.ts'
import { expandZeroes } from './expand-zeroes.ts'
import type { StepProgress } from './progress.ts'
import type { AmendTarget } from './target.ts'

/**
 * Makes a version 2 image version 3. Its snapshots get the fields that version 3 asks for first.
 *
 * @internal
 */
export async function upgrade(writer: Qcow2Writer, store: SnapshotStore): Promise<void> {
  const { image } = writer
  if (!store.entries.every(isCompleteSnapshotEntry)) await completeSnapshots(writer, store)
  const turn = (withNames: boolean): Promise<void> =>
    rewriteHeaderArea(image, (area) => ({
      ...area,
      header: { ...area.header, version: 3, headerLength: V3_HEADER_LENGTH },
      extensions: withNames ? { ...area.extensions, featureNames: defaultFeatureNames(3, area.header.clusterBits) } : area.extensions,
    }))
  try {
    await turn(true)
  } catch (error) {
    // Beside a long name of a backing file there may be no room for them.
    if (!isBlockError(error, 'no-space') || image.corruption.first !== null) throw error
    await turn(false)
  }
}

async function completeSnapshots(writer: Qcow2Writer, store: SnapshotStore): Promise<void> {
  const { header, geometry, clusterSize } = writer.image
  const entries = store.entries.map((entry) => ({ ...entry, diskSize: entry.diskSize ?? header.size, extraDataSize: 24 + entry.unknownExtraData.length }))
  const table = encodeSnapshotTable(entries, header.size)
  const deltas = new RefcountDeltas(writer)
  await deltas.add(header.snapshotTableOffset / clusterSize, clustersFor(geometry, store.tableBytes), -1)
  await switchMetadata(writer, {
    deltas,
    copies: [],
    areas: [table.length],
    build: ([place]) => ({ contents: [table], header: { snapshotTableOffset: hostOffset(place!) }, l1: null }),
  })
  store.replace(entries, table.length)
}

/**
 * Checks that an image can be version 2, in the order and with the words of qemu-img 7.2, once it is what `target` says
 * otherwise.
 *
 * @throws BlockError `unsupported`
 * @internal
 */
export async function checkDowngrade(writer: Qcow2Writer, store: SnapshotStore, target: AmendTarget): Promise<void> {
  const { image } = writer
  const { features, compressionType } = image.header
  if (target.refcountOrder !== 4) throw refused('compat=0.10 requires refcount_bits=16')
  for (const { vmStateSize, diskSize } of store.entries) {
    if (vmStateSize > 0xffff_ffff || (diskSize ?? target.size) !== target.size) throw refused('Internal snapshots prevent downgrade of image')
  }
  if (features.externalData) throw refused('Cannot downgrade an image with a data file')
  if (features.extendedL2) throw refused('Cannot downgrade an image with incompatible features 0x10 set')
  if (compressionType === 'zlib') return
  if (await hasCompressed(image, store)) throw refused(`Cannot downgrade an image with ${compressionType} compression type and existing compressed clusters`)
}

function refused(message: string): BlockError {
  return new BlockError('unsupported', message, { detail: { option: 'compat' } })
}

/** True if a cluster of the disk or of a snapshot is compressed. */
async function hasCompressed(image: Qcow2Image, store: SnapshotStore): Promise<boolean> {
  let found = false
  await eachTableOfAll(image, store, async ({ view }) => {
    for (let at = 0; at < view.byteLength && !found; at += image.geometry.l2EntrySize) {
      found = classifyCluster(image.context, view.getUint32(at), view.getUint32(at + 4)) === 'compressed'
    }
  })
  return found
}

/**
 * Makes a version 3 image version 2: without zero clusters, bitmaps and features. One write to the header decides, when
 * nothing in the image needs version 3 any more.
 *
 * @throws what {@link checkDowngrade} throws
 * @internal
 */
export async function downgrade(writer: Qcow2Writer, store: SnapshotStore, target: AmendTarget, progress: StepProgress): Promise<void> {
  const { image } = writer
  await checkDowngrade(writer, store, target)
  await expandZeroes(writer, store, progress)
  // Version 2 has no bit that says that they are right.
  if (image.bitmaps.broken === null && image.bitmaps.listed.length > 0) await switchBitmaps(writer, async () => [])
  const wasZlib = image.header.compressionType === 'zlib'
  await rewriteHeaderArea(image, (area) => ({
    ...area,
    header: {
      ...area.header,
      version: 2,
      headerLength: V2_HEADER_LENGTH,
      additionalFields: new Uint8Array(0),
      features: NO_FEATURES,
      unknownCompatible: NO_BITS,
      unknownAutoclear: NO_BITS,
      compressionType: 'zlib',
    },
    extensions: { ...area.extensions, featureNames: null, bitmaps: null },
  }))
  if (wasZlib) return
  image.codec = zlibRaw()
  image.compressed = new CompressedReader(image.geometry, image.file, image.codec)
}
