import { isBlockError, limits, RequestFlag, type Extent, type Instance, type OpenContext } from '@blockloom/block-driver'
import { amendFacet } from './amend/facet.ts'
import { backingFacet } from './backing-change.ts'
import { bitmapFacet } from './bitmaps/facet.ts'
import { openBitmaps } from './bitmaps/read-directory.ts'
import { CacheCleaner, cacheCleanInterval } from './cache-cleaner.ts'
import { checkFacet } from './check/facet.ts'
import { writeCompressed } from './compress.ts'
import { discardGuest } from './discard.ts'
import { encryptedAlignment } from './encryption/data-cipher.ts'
import { extents } from './extents.ts'
import type { Qcow2Image } from './image.ts'
import { qcow2Info } from './info.ts'
import { assertCanKeepClusters } from './keep-clusters.ts'
import { markClean } from './lazy-refcounts.ts'
import { makeEmpty } from './make-empty.ts'
import { openWriter } from './open-writer.ts'
import { openImage } from './open.ts'
import type { Qcow2Options } from './options.ts'
import { readGuest } from './read.ts'
import { resizeGuest } from './resize.ts'
import { snapshotFacet } from './snapshot-facet.ts'
import { SnapshotStore } from './snapshot-store.ts'
import { readSnapshotTable } from './snapshots.ts'
import { writeGuest } from './write.ts'
import type { Qcow2Writer } from './writer.ts'
import { zeroGuest } from './zero.ts'

/** Opens an image and assembles the facets that it allows. @internal */
export async function openInstance(context: OpenContext<Qcow2Options>): Promise<Instance<Qcow2Options>> {
  let writer: Qcow2Writer | null = null
  const image = await openImage(context, async () => writer?.committer.run(false))
  const interval = cacheCleanInterval(context.options)
  assertCanKeepClusters(image)
  const snapshots = await readSnapshots(image)
  await openBitmaps(image)
  const store = snapshots ?? new SnapshotStore([], 0)
  // Without its data file an image cannot be written. A repair works below a writer, whose tables may be damaged.
  if (!context.mode.readOnly && !context.mode.forCheck && image.dataFile !== null) writer = await openWriter(image, store)
  const cleaner = new CacheCleaner(interval, writer === null ? [image.l2Cache] : [image.l2Cache, writer.refcounts.cache], image.warn)
  cleaner.attach(context.clock)
  const { geometry, mapper, clusterSize } = image
  return {
    limits: limits({ clusterSize, ...encryptedAlignment(image), zeroAlignment: geometry.subclusterSize, discardAlignment: clusterSize }),
    size: () => image.header.size,
    get zeroInit() {
      return image.area.backingFile === null
    },
    read:
      writer === null
        ? (offset, into) => readGuest(image, mapper, offset, into)
        : (offset, into) => guarded(writer!, () => readGuest(image, mapper, offset, into)),
    extents:
      writer === null
        ? (offset, bytes) => extents(image, mapper, offset, bytes)
        : (offset, bytes) => guardedExtents(writer!, offset, bytes),
    snapshots: snapshotFacet(image, store, snapshots === null ? null : writer),
    bitmaps: bitmapFacet(image, writer, context.nodeName),
    backing: backingFacet(image, writer),
    check: checkFacet(image, writer, store),
    info: () => qcow2Info(image),
    aioContext: cleaner,
    close: async () => {
      cleaner.detach()
      await writer?.settle()
      await image.corruption.settled()
      if (writer !== null) await markClean(writer)
    },
    ...(writer === null ? {} : writeFacets(writer)),
    ...(writer === null || snapshots === null ? {} : { amend: amendFacet(writer, store, (size) => resizeTo(writer!, size)) }),
  }
}

/** Runs a request when the gate is open; freed clusters are not used for something else before it ends. */
function guarded<T>(writer: Qcow2Writer, request: () => Promise<T>): Promise<T> {
  if (writer.gate.open) return writer.grace.during(request())
  return writer.gate.pass(() => writer.grace.during(request()))
}

function guardedExtents(writer: Qcow2Writer, offset: number, bytes: number): Extent | Promise<Extent> {
  const { image, gate, grace } = writer
  if (!gate.open) return gate.pass(async () => guardedExtents(writer, offset, bytes))
  const extent = extents(image, image.mapper, offset, bytes)
  return extent instanceof Promise ? grace.during(extent) : extent
}

/** Runs what may take new clusters, now or when those that were dropped are free. */
function whenFreed(writer: Qcow2Writer, request: () => Promise<void>): Promise<void> {
  return writer.isLagging ? writer.freed().then(request) : request()
}

function resizeTo(writer: Qcow2Writer, size: number): Promise<void> {
  return guarded(writer, () => resizeGuest(writer, size, { preallocation: 'off', zeroFill: true }))
}

function writeFacets(writer: Qcow2Writer): Partial<Instance<Qcow2Options>> {
  const { image } = writer
  return {
    writer: {
      honours: RequestFlag.MAY_UNMAP + RequestFlag.NO_FALLBACK,
      // It keeps freed clusters away by itself.
      write: (offset, from) => (writer.gate.open && !writer.isLagging ? writeGuest(writer, offset, from) : whenFreed(writer, () => writer.gate.pass(() => writeGuest(writer, offset, from)))),
      flush: async (scope) => {
        await writer.committer.run(scope === 'stable', true)
        await image.corruption.settled()
      },
    },
    zero: (offset, bytes, flags) => guarded(writer, () => zeroGuest(writer, offset, bytes, flags)),
    discard: (offset, bytes) => guarded(writer, () => discardGuest(writer, offset, bytes)),
    resize: {
      preallocations: ['off', 'metadata', 'falloc', 'full'],
      resize: (size, options) => guarded(writer, () => resizeGuest(writer, size, options)),
    },
    makeEmpty: () => makeEmpty(writer),
    ...(image.externalData || image.encryption !== null
      ? {}
      : { compress: { granularity: image.clusterSize, write: (offset, from) => whenFreed(writer, () => guarded(writer, () => writeCompressed(writer, offset, from))) } }),
  }
}

/** The snapshots; null if the table is damaged and that does not matter now. */
async function readSnapshots(image: Qcow2Image): Promise<SnapshotStore | null> {
  try {
    const { entries, bytes } = await readSnapshotTable(image)
    return new SnapshotStore(entries, bytes)
  } catch (error) {
    // A check reports it.
    if (image.mode.forCheck && isBlockError(error, 'corrupt')) return null
    throw error
  }
}
