import { isBlockError, limits, RequestFlag, type Instance, type OpenContext } from '@blockloom/block-driver'
import { writeCompressed } from './compress.ts'
import { discardGuest } from './discard.ts'
import { extents } from './extents.ts'
import type { Qcow2Image } from './image.ts'
import { openWriter } from './open-writer.ts'
import { openImage } from './open.ts'
import type { SnapshotEntry } from './on-disk/snapshot-table.ts'
import type { Qcow2Options } from './options.ts'
import { readGuest } from './read.ts'
import { resizeGuest } from './resize.ts'
import { openSnapshot, readSnapshotTable, snapshotInfo } from './snapshots.ts'
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
        : (offset, into) => writer!.grace.during(readGuest(image, mapper, offset, into)),
    extents: (offset, bytes) => extents(mapper, image.dataFile, offset, bytes),
    snapshots: {
      list: () => snapshots.map(snapshotInfo),
      openReadOnly: (select) => openSnapshot(image, snapshots, select),
    },
    backing: { named: namedBacking(image) },
    close: async () => {
      await writer?.settle()
      await image.corruption.settled()
    },
    ...(writer === null ? {} : writeFacets(writer)),
  }
}

function writeFacets(writer: Qcow2Writer): Partial<Instance<Qcow2Options>> {
  const { image } = writer
  return {
    writer: {
      honours: RequestFlag.MAY_UNMAP + RequestFlag.NO_FALLBACK,
      write: (offset, from) => writeGuest(writer, offset, from),
      flush: async (scope) => {
        await writer.committer.run(scope === 'stable')
        await image.corruption.settled()
      },
    },
    zero: (offset, bytes, flags) => zeroGuest(writer, offset, bytes, flags),
    discard: (offset, bytes) => discardGuest(writer, offset, bytes),
    resize: {
      preallocations: ['off', 'metadata', 'falloc', 'full'],
      resize: (size, options) => resizeGuest(writer, size, options),
    },
    ...(image.externalData
      ? {}
      : { compress: { granularity: image.clusterSize, write: (offset, from) => writeCompressed(writer, offset, from) } }),
  }
}

async function readSnapshots(image: Qcow2Image): Promise<readonly SnapshotEntry[]> {
  try {
    return await readSnapshotTable(image)
  } catch (error) {
    // A check reports it.
    if (image.mode.forCheck && isBlockError(error, 'corrupt')) return []
    throw error
  }
}

function namedBacking(image: Qcow2Image): { readonly filename: string; readonly format?: string } | null {
  const { backingFile, extensions } = image.area
  if (backingFile === null) return null
  return { filename: backingFile, ...(extensions.backingFormat === null ? {} : { format: extensions.backingFormat }) }
}
