import { isBlockError, limits, RequestFlag, type Instance, type OpenContext } from '@blockloom/block-driver'
import { checkFacet } from './check/facet.ts'
import { writeCompressed } from './compress.ts'
import { discardGuest } from './discard.ts'
import { extents } from './extents.ts'
import type { Qcow2Image } from './image.ts'
import { qcow2Info } from './info.ts'
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
  const snapshots = await readSnapshots(image)
  // Without its data file an image cannot be written.
  if (!context.mode.readOnly && image.dataFile !== null) writer = await openWriter(image)
  const { geometry, mapper, clusterSize } = image
  return {
    limits: limits({ clusterSize, zeroAlignment: geometry.subclusterSize, discardAlignment: clusterSize }),
    size: () => image.header.size,
    zeroInit: image.area.backingFile === null,
    read:
      writer === null
        ? (offset, into) => readGuest(image, mapper, offset, into)
        : (offset, into) => guarded(writer!, () => readGuest(image, mapper, offset, into)),
    extents:
      writer === null
        ? (offset, bytes) => extents(mapper, image.dataFile, offset, bytes)
        : (offset, bytes) => guarded(writer!, () => extents(mapper, image.dataFile, offset, bytes)),
    snapshots: snapshotFacet(image, snapshots ?? new SnapshotStore([], 0), snapshots === null ? null : writer),
    backing: { named: namedBacking(image) },
    check: checkFacet(image, writer),
    info: () => qcow2Info(image),
    close: async () => {
      await writer?.settle()
      await image.corruption.settled()
    },
    ...(writer === null ? {} : writeFacets(writer)),
  }
}

/** Runs a request when the gate is open; freed clusters are not used for something else before it ends. */
function guarded<T>(writer: Qcow2Writer, request: () => Promise<T>): Promise<T> {
  if (writer.gate.open) return writer.grace.during(request())
  return writer.gate.pass(() => writer.grace.during(request()))
}

function writeFacets(writer: Qcow2Writer): Partial<Instance<Qcow2Options>> {
  const { image } = writer
  return {
    writer: {
      honours: RequestFlag.MAY_UNMAP + RequestFlag.NO_FALLBACK,
      // It keeps freed clusters away by itself.
      write: (offset, from) => (writer.gate.open ? writeGuest(writer, offset, from) : writer.gate.pass(() => writeGuest(writer, offset, from))),
      flush: async (scope) => {
        await writer.committer.run(scope === 'stable')
        await image.corruption.settled()
      },
    },
    zero: (offset, bytes, flags) => guarded(writer, () => zeroGuest(writer, offset, bytes, flags)),
    discard: (offset, bytes) => guarded(writer, () => discardGuest(writer, offset, bytes)),
    resize: {
      preallocations: ['off', 'metadata', 'falloc', 'full'],
      resize: (size, options) => guarded(writer, () => resizeGuest(writer, size, options)),
    },
    ...(image.externalData
      ? {}
      : { compress: { granularity: image.clusterSize, write: (offset, from) => guarded(writer, () => writeCompressed(writer, offset, from)) } }),
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

function namedBacking(image: Qcow2Image): { readonly filename: string; readonly format?: string } | null {
  const { backingFile, extensions } = image.area
  if (backingFile === null) return null
  return { filename: backingFile, ...(extensions.backingFormat === null ? {} : { format: extensions.backingFormat }) }
}
