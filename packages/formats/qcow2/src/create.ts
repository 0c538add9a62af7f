import { BlockError, isBlockError, type ChildHandle, type CreateContext } from '@blockloom/block-driver'
import { newHeaderArea } from './create-header.ts'
import { ClusterLayout } from './create-layout.ts'
import type { Qcow2CreateOptions } from './create-options.ts'
import { writeRefcounts } from './create-refcounts.ts'
import { createSettings, type CreateSettings } from './create-settings.ts'
import { encryptionWriter } from './encryption/create-encryption.ts'
import { hostOffset } from './units.ts'
import { preallocate } from './preallocate.ts'

/**
 * Writes an empty image, laid out like one of qemu-img.
 *
 * The header is written last, after everything else is on stable storage: a crash leaves a file that is not a qcow2
 * image, never a broken one.
 *
 * @internal
 */
export async function createQcow2(context: CreateContext<Qcow2CreateOptions>): Promise<void> {
  const { file, options, signal } = context
  if (file === null) throw new BlockError('invalid', "Parameter 'file' is missing", { detail: { option: 'file' } })
  const settings = createSettings(options)
  const { geometry, l1Entries, preallocation, encryption } = settings
  const { clusterSize } = geometry
  const layout = new ClusterLayout(geometry)
  const l1Clusters = Math.ceil((l1Entries * 8) / clusterSize)
  const l1Offset = (l1Clusters === 0 ? 0 : layout.allocate(l1Clusters)) * clusterSize
  const keyClusters = Math.ceil((encryption?.headerBytes ?? 0) / clusterSize)
  const keys = keyClusters === 0 ? null : { offset: hostOffset(layout.allocate(keyClusters) * clusterSize), length: encryption!.headerBytes }
  const header = (): Uint8Array =>
    newHeaderArea(settings, { l1Offset, refcountTableOffset: layout.table.first * clusterSize, refcountTableClusters: layout.table.count, encryption: keys })
  // Names that do not fit are refused before any file is touched.
  header()
  const encrypting = encryption === null ? null : await encryptionWriter(context, encryption)

  await createDataFile(context, settings)
  const blank = await makeEmpty(file, clusterSize)
  if (preallocation === 'off') await reserveZeroes(file, l1Offset, l1Entries * 8, blank)
  if (keys !== null) await reserveZeroes(file, keys.offset, keyClusters * clusterSize, blank)
  const cipher = encrypting === null ? null : await encrypting.write(file, keys)
  if (preallocation !== 'off') await preallocate({ file, settings, layout, l1Offset, blank, cipher, signal })
  await writeRefcounts(file, geometry, layout, signal)
  await file.flush('stable')
  await file.write(0, header())
  await file.flush('stable')
}

/** Creates the external data file with the size of the disk. */
async function createDataFile(context: CreateContext<Qcow2CreateOptions>, settings: CreateSettings): Promise<void> {
  const { dataFile, size, preallocation } = settings
  if (dataFile === null) return
  const onHost = preallocation === 'falloc' || preallocation === 'full'
  const file = await context.createFile('data-file', dataFile, onHost ? 0 : size)
  if (onHost) await file.resize(size, { preallocation })
  // Preallocated clusters show what is in the file.
  else if (preallocation === 'metadata' && !file.zeroInit) await file.zero(0, size)
}

/** Empties the file; true if all of it then reads as zeroes. Otherwise at least what could be a header is gone. */
async function makeEmpty(file: ChildHandle, clusterSize: number): Promise<boolean> {
  try {
    if ((await file.size()) > 0) await file.resize(0)
    return file.zeroInit
  } catch (error) {
    // A host device keeps its size.
    if (!isBlockError(error, 'unsupported')) throw error
    await file.zero(0, clusterSize)
    await file.flush('stable')
    return false
  }
}

async function reserveZeroes(file: ChildHandle, offset: number, bytes: number, blank: boolean): Promise<void> {
  if (!blank) {
    if (bytes > 0) await file.zero(offset, bytes)
  } else await file.resize(offset + bytes)
}
