import { BlockError } from '@blockloom/block-driver'
import type { Qcow2Image } from './image.ts'
import { FEATURE_NAME_TABLE } from './on-disk/feature-names.ts'
import { decodeHeaderArea, layoutHeaderArea, usedHeaderBytes, type HeaderArea } from './on-disk/header-area.ts'
import { viewOf } from './on-disk/integers.ts'
import { V2_HEADER_LENGTH } from './on-disk/limits.ts'

/** What a disk writes whole or not at all. */
const SECTOR = 512

/** What {@link rewriteHeaderArea} needs of an opened image. @internal */
export type RewritableImage = Pick<Qcow2Image, 'area' | 'file' | 'corruption' | 'headerTurn'>

/** A first cluster: its first sector, and what that leads to, which is from `from` on. */
interface Layout {
  readonly bytes: Uint8Array
  /** Nothing between the first sector and here is needed. */
  readonly from: number
}

/**
 * Changes the header, its extensions and the backing file name in one step: a crash leaves all of it as before, or as now.
 * Everything that was written to the file before the call is stable before the change is.
 *
 * The write that decides is the first sector, and what it leads to lies where the old header needs nothing. If the new
 * extensions belong where the old ones are, they are first written behind them, reached over a feature name table that
 * covers the old ones, and then again at their place. Without room for both, in small clusters, the feature names go
 * first. Only in clusters of 1 and 2 KiB with names of several hundred bytes there is no such way: one write replaces all.
 *
 * Changes of the header wait for each other. Unknown extensions and header fields that we do not know are kept byte for
 * byte; a stale bitmaps extension is dropped. What is left of a longer header is cleared.
 *
 * @param change - gets the area as it is now and returns the new one, at once
 * @throws what {@link layoutHeaderArea} or decoding throws, before anything is written; or what a request threw: then the
 *   header is as before. If that cannot be made sure, `image.corruption.first` is set: either state may be on disk
 * @internal
 */
export async function rewriteHeaderArea(image: RewritableImage, change: (area: HeaderArea) => HeaderArea): Promise<void> {
  using _turn = image.headerTurn.tryAcquire() ?? (await image.headerTurn.acquire())
  const { file } = image
  const wanted = layout(change(image.area))
  const decoded = decodeHeaderArea(wanted.bytes, { purpose: 'check' })
  // What is read from now on is what is on the disk.
  await file.flush('stable')
  const cluster = new Uint8Array(image.area.geometry.clusterSize)
  await file.read(0, cluster)
  const old: Layout = { bytes: cluster.subarray(0, usedHeaderBytes(cluster)), from: SECTOR }
  const { first, decisive, last } = plan(old, wanted, image.area)

  let current = old
  for (const next of [...first, decisive]) {
    await writeRest(image, current, next)
    await turnTo(image, current, next)
    current = next
  }
  image.area = decoded
  try {
    for (const next of last) {
      await writeRest(image, current, next)
      await writeDecisive(image, current, next)
      current = next
    }
    const end = Math.max(old.bytes.length, decisive.bytes.length)
    const used = Math.max(SECTOR, current.bytes.length)
    if (end > used) await file.write(used, new Uint8Array(end - used))
  } catch {
    // The new header is there, be it at one place or at the other.
  }
}

function layout(area: HeaderArea): Layout {
  return { bytes: layoutHeaderArea(area), from: SECTOR }
}

/** Layouts to go through. The header says the same in those `first` as before, and in the `last` as in the decisive one. */
interface Plan {
  readonly first: readonly Layout[]
  readonly decisive: Layout
  readonly last: readonly Layout[]
}

function plan(old: Layout, wanted: Layout, area: HeaderArea & Pick<RewritableImage['area'], 'geometry'>): Plan {
  if (leaves(old, wanted)) return { first: [], decisive: wanted, last: [] }
  const behind = moved(wanted, Math.max(old.bytes.length, wanted.bytes.length), area.geometry.clusterSize)
  if (behind !== null) return { first: [], decisive: behind, last: [wanted] }
  const withoutNames = layout({ ...area, extensions: { ...area.extensions, featureNames: null } })
  if (leaves(old, withoutNames) && leaves(withoutNames, wanted)) return { first: [withoutNames], decisive: wanted, last: [] }
  return { first: [], decisive: wanted, last: [] }
}

/** True if writing what `next` leads to changes nothing that `current` leads to. */
function leaves(current: Layout, next: Layout): boolean {
  const end = Math.min(current.bytes.length, next.bytes.length)
  for (let at = Math.max(current.from, next.from); at < end; at++) {
    if (current.bytes[at] !== next.bytes[at]) return false
  }
  return true
}

/** The same header with its extensions and the backing file name behind `place`; null if that is not possible. */
function moved({ bytes }: Layout, place: number, clusterSize: number): Layout | null {
  const view = viewOf(bytes)
  const header = view.getUint32(4) === 2 ? V2_HEADER_LENGTH : view.getUint32(100)
  const from = Math.max(SECTOR, Math.ceil(place / 8) * 8)
  if (header + 8 > SECTOR || from + bytes.length - header > clusterSize) return null
  const out = new Uint8Array(from + bytes.length - header)
  out.set(bytes.subarray(0, header))
  out.set(bytes.subarray(header), from)
  const outView = viewOf(out)
  outView.setUint32(header, FEATURE_NAME_TABLE)
  outView.setUint32(header + 4, from - header - 8)
  // The lower half of backing_file_offset: it is less than a cluster.
  const name = view.getUint32(12)
  if (name !== 0) outView.setUint32(12, name + from - header)
  return { bytes: out, from }
}

/** Writes what the first sector will lead to, and makes it stable. */
async function writeRest({ file }: RewritableImage, current: Layout, next: Layout): Promise<void> {
  if (next.bytes.length <= next.from || !leaves(current, next)) return
  await file.write(next.from, next.bytes.subarray(next.from))
  await file.flush('stable')
}

/** Writes the first sector; everything, if the rest could not be written before. */
async function writeDecisive({ file }: RewritableImage, current: Layout, next: Layout): Promise<void> {
  await file.write(0, padded(next.bytes, decisiveBytes(current, next)))
  await file.flush('stable')
}

function decisiveBytes(current: Layout, next: Layout): number {
  return leaves(current, next) ? SECTOR : Math.max(SECTOR, current.bytes.length, next.bytes.length)
}

/** Makes `next` the header, or throws, and `current` still is. */
async function turnTo(image: RewritableImage, current: Layout, next: Layout): Promise<void> {
  const { file, corruption } = image
  try {
    await writeDecisive(image, current, next)
  } catch (error) {
    // It may have been written or not.
    const restore = async (): Promise<void> => {
      await file.write(0, padded(current.bytes, decisiveBytes(current, next)))
      await file.flush('stable')
    }
    await restore().catch(() => {
      corruption.first ??= new BlockError('io', 'The header could not be written; the image must be closed before it can be changed', { cause: error })
    })
    throw error
  }
}

/** The first `length` bytes, with zeroes where there are fewer. */
function padded(bytes: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length)
  out.set(bytes.subarray(0, length))
  return out
}
