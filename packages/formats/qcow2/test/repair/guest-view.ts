import { isBlockError, type Instance } from '@blockloom/block-driver'
import type { MemoryChild } from '../harness/memory-child.ts'
import { openQcow2 } from '../harness/open.ts'

/** What a disk reads as, piece by piece; null where it cannot be read. */
export type Pieces = readonly (Uint8Array | null)[]

/** All that can be read of an image: the disk as it is now, and each snapshot by its place, ID and name. */
export interface GuestView {
  readonly disk: Pieces
  readonly snapshots: ReadonlyMap<string, Pieces>
}

/** Reads what can be read. Null if the image does not open. */
export async function guestView(file: MemoryChild, dataFile?: MemoryChild): Promise<GuestView | null> {
  let image: Instance
  try {
    image = await openQcow2({ file, mode: { readOnly: true }, ...(dataFile === undefined ? {} : { dataFile }) })
  } catch (error) {
    if (isBlockError(error)) return null
    throw error
  }
  const snapshots = new Map<string, Pieces>()
  for (const { id, name } of (await image.snapshots?.list()) ?? []) {
    if (snapshots.has(`${id} ${name}`)) continue
    try {
      const snapshot = await image.snapshots!.openReadOnly(id)
      snapshots.set(`${id} ${name}`, await pieces(snapshot, image.limits.zeroAlignment))
      await snapshot.close()
    } catch (error) {
      if (!isBlockError(error)) throw error
    }
  }
  const disk = await pieces(image, image.limits.zeroAlignment)
  await image.close()
  return { disk, snapshots }
}

async function pieces(image: Instance, step: number): Promise<Pieces> {
  const size = Math.min(await image.size(), 1 << 27)
  const found: (Uint8Array | null)[] = []
  for (let at = 0; at < size; at += step) {
    const bytes = new Uint8Array(Math.min(step, size - at))
    try {
      await image.read(at, bytes, 0)
      found.push(bytes)
    } catch (error) {
      if (!isBlockError(error)) throw error
      found.push(null)
    }
  }
  return found
}

/**
 * The first place where a repaired image has lost something: what was whole although the image was broken is not any
 * more. Null if there is none.
 *
 * @param whole - the image before it was broken
 */
export function lost(whole: GuestView, broken: GuestView | null, repaired: GuestView | null): string | null {
  if (broken === null) return null
  if (repaired === null) return 'the repaired image does not open'
  const inDisk = lostPiece(whole.disk, broken.disk, repaired.disk)
  if (inDisk !== null) return `the disk at piece ${inDisk}`
  for (const [which, before] of broken.snapshots) {
    const original = whole.snapshots.get(which)
    if (original === undefined) continue
    const after = repaired.snapshots.get(which)
    // One whose tables were all lost read as zeroes, and is not there any more.
    const at = lostPiece(original, before, after ?? original.map(zeroes))
    if (at !== null) return `snapshot '${which}' at piece ${at}`
  }
  return null
}

function zeroes(piece: Uint8Array | null): Uint8Array {
  return new Uint8Array(piece?.length ?? 0)
}

function lostPiece(whole: Pieces, broken: Pieces, repaired: Pieces): number | null {
  for (const [i, before] of broken.entries()) {
    const original = whole[i]
    if (before === null || original === undefined || original === null || Buffer.compare(before, original) !== 0) continue
    const after = repaired[i]
    if (after === undefined || after === null || Buffer.compare(after, original) !== 0) return i
  }
  return null
}
