import { rewriteHeaderArea } from '../header-rewrite.ts'
import { encodeBitmapDirectory, type BitmapEntry } from '../on-disk/bitmap-directory.ts'
import type { PendingFree } from '../pending-frees.ts'
import { release } from '../release.ts'
import { clustersFor, type HostOffset } from '../units.ts'
import type { Qcow2Writer } from '../writer.ts'
import type { ListedBitmap } from './bitmap-list.ts'
import { tableEntries } from './load.ts'
import { writeArea } from './write-bitmap.ts'

/**
 * Replaces the bitmap directory: everything new goes to new places, then one change of the header makes all of it count.
 * A crash leaves the old bitmaps or the new ones; at worst, places leak.
 *
 * Only for those who have the image for themselves.
 *
 * @param build - writes what is new, and returns all bitmaps that there will be; what it allocates it adds to `taken`
 * @throws what `build` or a request threw: the bitmaps are as before
 * @internal
 */
export async function switchBitmaps(writer: Qcow2Writer, build: (taken: PendingFree[]) => Promise<readonly ListedBitmap[]>): Promise<void> {
  const { image } = writer
  const { bitmaps } = image
  const taken: PendingFree[] = []
  let listed: readonly ListedBitmap[]
  const old = image.area.extensions.bitmaps
  const before = bitmaps.listed
  try {
    listed = await build(taken)
    const entries = listed.map(({ entry }) => entry)
    const directory = encodeBitmapDirectory(entries, image.geometry)
    const directoryOffset = entries.length === 0 ? undefined : await writeArea(writer, directory, taken)
    // Refcounts before what needs them.
    await writer.settle()
    await turnTo(writer, entries.length, directory.length, directoryOffset)
  } catch (error) {
    // Unless it is not known what the header says.
    if (image.corruption.first === null) await release(writer, taken).catch(() => {})
    throw error
  }
  bitmaps.replace(listed)
  if (old !== null) drop(writer, old.directoryOffset, clustersFor(image.geometry, old.directorySize))
  const kept = new Set(listed.map(({ entry }) => entry.tableOffset))
  for (const { entry } of before) if (!kept.has(entry.tableOffset)) await dropBitmap(writer, entry)
  // The switch has been made; what cannot be tidied up now is with the next commit.
  await writer.settle().catch((error: unknown) => leaked(writer, error))
}

async function turnTo(writer: Qcow2Writer, count: number, directorySize: number, directoryOffset: HostOffset | undefined): Promise<void> {
  await rewriteHeaderArea(writer.image, (area) => ({
    ...area,
    header: { ...area.header, features: { ...area.header.features, bitmaps: directoryOffset !== undefined } },
    extensions: { ...area.extensions, bitmaps: directoryOffset === undefined ? null : { count, directorySize, directoryOffset } },
  }))
}

/** Frees the table and the bits of a bitmap that the directory on disk has no more. */
async function dropBitmap(writer: Qcow2Writer, entry: BitmapEntry): Promise<void> {
  const { image } = writer
  try {
    for await (const { host } of tableEntries(image, entry)) if (host !== null) drop(writer, host, 1)
  } catch (error) {
    leaked(writer, error)
  }
  drop(writer, entry.tableOffset, clustersFor(image.geometry, entry.tableEntries * 8))
}

/** Nothing is freed that has another use, which only a damaged image has there. */
function drop(writer: Qcow2Writer, offset: number, count: number): void {
  const first = offset / writer.image.clusterSize
  const what = writer.overlap.find(first, count)
  if (what === undefined) writer.frees.add(first, count, 'other')
  else leaked(writer, new Error(`a bitmap overlaps with ${what}`))
}

function leaked(writer: Qcow2Writer, error: unknown): void {
  writer.image.warn(`Clusters leaked: ${error instanceof Error ? error.message : String(error)}`)
}
