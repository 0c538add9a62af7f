import { clustersFor } from '../units.ts'
import { setInUse } from '../on-disk/bitmap-directory.ts'
import { STRUCTURE } from '../overlap/structures.ts'
import type { Qcow2Writer } from '../writer.ts'
import { readDirectoryBytes } from './read-directory.ts'

/**
 * Says on disk of every stored bitmap that it is in use, so that nobody takes it for right after a crash. Stable
 * afterwards. Nothing but flags changes, each inside a sector: a crash meanwhile leaves some marked and others not, and all
 * of it true, because the guest's disk has not changed yet.
 *
 * @throws what a request threw: then the flags are as before, if they can be put back
 * @internal
 */
export async function markBitmapsInUse(writer: Qcow2Writer): Promise<void> {
  const { image, overlap } = writer
  const { bitmaps, file, geometry, clusterSize, area } = image
  const directory = area.extensions.bitmaps
  if (!bitmaps.trusted || directory === null) return
  const old = await readDirectoryBytes(image)
  const marked = old.slice()
  setInUse(marked)
  overlap.assertFree(directory.directoryOffset / clusterSize, clustersFor(geometry, marked.length), STRUCTURE.bitmapDirectory)
  try {
    await file.write(directory.directoryOffset, marked)
    await file.flush('stable')
  } catch (error) {
    await file.write(directory.directoryOffset, old).catch(() => {})
    throw error
  }
  bitmaps.replace(bitmaps.listed.map(({ entry, inconsistent }) => ({ entry: { ...entry, inUse: true }, inconsistent })))
}
