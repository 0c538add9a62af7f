import { BlockError, ChildRole, type ChildHandle, type ChildSlot, type OpenContext } from '@blockloom/block-driver'
import { CoMutex } from '@blockloom/coroutine-scheduler'
import { TableCache } from '@blockloom/driver-kit'
import { zlibRaw, zstd } from '@blockloom/driver-kit/codecs'
import { BitmapList } from './bitmaps/bitmap-list.ts'
import { cacheSizes } from './cache-sizes.ts'
import { CompressedReader } from './compressed-read.ts'
import { Corruption } from './corruption.ts'
import { openEncryption } from './encryption/open-encryption.ts'
import { updateHeader } from './header-update.ts'
import type { Qcow2Image } from './image.ts'
import { assertCanBeLazy } from './lazy-refcounts.ts'
import { L1Table } from './l1-table.ts'
import { Mapper } from './mapper.ts'
import type { DecodedHeaderArea } from './on-disk/header-area.ts'
import { HEADER_FIELDS } from './on-disk/header.ts'
import type { Qcow2Options } from './options.ts'
import { readHeaderArea } from './read-header.ts'
import { repairIfDirty } from './repair/dirty.ts'

const NO_CHILD: ChildSlot = Object.freeze({ current: null })

/**
 * Reads what is needed before the first request: the header and the active L1 table; opens the children that the
 * image names.
 *
 * @param relieve - makes entries of the L2 cache clean
 * @internal
 */
export async function openImage(context: OpenContext<Qcow2Options>, relieve: () => Promise<void>): Promise<Qcow2Image> {
  const { mode, options } = context
  const file = await context.child('file', { role: ChildRole.DATA + ChildRole.METADATA + ChildRole.PRIMARY })
  const found = await readHeaderArea(file, mode.forCheck)
  assertUsable(found, context)
  const area = await repairIfDirty(context, file, found)
  const { header, geometry } = area
  const sizes = cacheSizes(options, geometry, header.size)
  const externalData = header.features.externalData
  const openedDataFile = await openDataFile(context, area, file)
  const encryption = await openEncryption(context, area, file)
  const dataFile = encryption !== null && encryption.cipher === null ? null : openedDataFile
  const backing = await openBacking(context, area)

  const l1Bytes = new Uint8Array(header.l1Entries * 8)
  if (l1Bytes.length > 0) await file.read(header.l1Offset, l1Bytes)

  const mark = mode.readOnly || header.version < 3 ? null : () => setCorruptBit(image)
  const corruption = new Corruption(mark, (message) => context.warn(message))
  const codec = header.compressionType === 'zstd' ? zstd() : zlibRaw()
  const l2Cache = new TableCache({ child: file, entrySize: sizes.l2EntryBytes, maxBytes: sizes.l2Bytes, relieve })
  const l1 = new L1Table(header.l1Offset, l1Bytes)
  const l2Context = { extendedL2: geometry.extendedL2, externalData }
  const image: Qcow2Image = {
    area,
    headerTurn: new CoMutex(),
    get header() {
      return this.area.header
    },
    get version() {
      return this.area.header.version
    },
    get geometry() {
      return this.area.geometry
    },
    clusterSize: geometry.clusterSize,
    context: l2Context,
    mode,
    options,
    file,
    dataFile,
    externalData,
    backing,
    encryption,
    codec,
    corruption,
    l1,
    l2Cache,
    mapper: new Mapper({ geometry, context: l2Context, get version() { return image.version }, l2Cache, corruption }, l1),
    compressed: new CompressedReader(geometry, file, codec),
    bitmaps: new BitmapList(),
    warn: (message) => context.warn(message),
  }
  return image
}

function assertUsable(area: DecodedHeaderArea, context: OpenContext<Qcow2Options>): void {
  const { features, version } = area.header
  assertCanBeLazy(context.options, version)
  if (context.mode.readOnly || context.mode.forCheck) return
  if (features.corrupt) {
    throw new BlockError('read-only', 'qcow2: Image is corrupt; cannot be opened read/write', { errno: 'EACCES', detail: { field: 'incompatible_features' } })
  }
}

async function openDataFile(context: OpenContext<Qcow2Options>, area: DecodedHeaderArea, file: ChildHandle): Promise<ChildHandle | null> {
  const role = ChildRole.DATA
  if (!area.header.features.externalData) {
    const given = await context.optionalChild('data-file', { role })
    if (given.current === null) return file
    throw new BlockError('invalid', "'data-file' can only be set for images with an external data file", { detail: { option: 'data-file' } })
  }
  if (context.mode.noIo) return null
  const filename = area.extensions.dataFile
  if (filename !== null) return context.child('data-file', { role, fromImage: { filename } })
  const given = await context.optionalChild('data-file', { role })
  if (given.current !== null) return given.current
  throw new BlockError('invalid', "'data-file' is required for this image", { detail: { option: 'data-file' } })
}

async function openBacking(context: OpenContext<Qcow2Options>, area: DecodedHeaderArea): Promise<ChildSlot> {
  if (context.mode.noBacking) return NO_CHILD
  const role = ChildRole.COW
  const filename = area.backingFile
  // Without a name in the image too: one can be given, or attached later.
  if (filename === null || filename === '') return context.optionalChild('backing', { role })
  const format = area.extensions.backingFormat
  return context.optionalChild('backing', { role, fromImage: format === null || format === '' ? { filename } : { filename, format } })
}

async function setCorruptBit(image: Qcow2Image): Promise<void> {
  await updateHeader(image, HEADER_FIELDS.incompatible, ({ features }) => ({ features: { ...features, corrupt: true } }))
}
