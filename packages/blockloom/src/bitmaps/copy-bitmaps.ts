import type { BlockNode, DirtyBitmap } from '@blockloom/block-core'
import { BlockError, isBlockError } from '@blockloom/block-driver'

/** @public */
export interface BitmapCopyOptions {
  /** Its stored bitmaps are copied; those of its backing files are not. */
  readonly source: BlockNode
  /** Open for writing, of the same size, and in a format that stores bitmaps. They are in the image when it is closed. */
  readonly target: BlockNode
  /** Leave out bitmaps that are inconsistent, instead of failing. Default false. */
  readonly skipInconsistent?: boolean
  /** Called for each that is left out. */
  readonly onSkipped?: (name: string) => void
}

/**
 * Copies the persistent dirty bitmaps of an image: contents, granularity, and whether they record. All of them, or none.
 *
 * @throws BlockError `corrupt` for one that is inconsistent; `unsupported` if a side stores no bitmaps; `exists` if the target has one
 * of that name; `invalid` if the sizes differ
 * @public
 */
export async function copyBitmaps(options: BitmapCopyOptions): Promise<void> {
  const { source, target, skipInconsistent = false, onSkipped } = options
  const bitmaps = bitmapsToCopy(source, skipInconsistent)
  assertStoresBitmaps(target)
  // The reference has them newest first.
  for (const { name, inconsistent } of source.dirtyBitmaps.list.toReversed()) if (inconsistent) onSkipped?.(name)
  for (const bitmap of bitmaps.toReversed()) assertFits(bitmap, source, target)
  const added: DirtyBitmap[] = []
  try {
    for (const bitmap of bitmaps) added.push(await copyBitmap(bitmap, target))
  } catch (error) {
    for (const bitmap of added) await target.dirtyBitmaps.remove(bitmap)
    throw error
  }
}

/**
 * What {@link copyBitmaps} would copy, for those who have work to do before.
 *
 * @throws BlockError `corrupt` for one that is inconsistent, `unsupported` if the format stores none
 * @internal
 */
export function bitmapsToCopy(source: BlockNode, skipInconsistent: boolean): readonly DirtyBitmap[] {
  if (source.bitmaps === undefined) throw new BlockError('unsupported', 'Source lacks bitmap support')
  const stored = source.dirtyBitmaps.list.filter(({ persistent }) => persistent)
  const bad = stored.findLast(({ inconsistent }) => inconsistent)
  if (bad !== undefined && !skipInconsistent) {
    throw new BlockError('corrupt', `Cannot copy inconsistent bitmap '${bad.name}'`, { detail: { bitmap: bad.name } })
  }
  return stored.filter(({ inconsistent }) => !inconsistent)
}

/** @throws BlockError `unsupported` if no bitmap can be added to an image for good @internal */
export function assertStoresBitmaps({ dirtyBitmaps, driver }: BlockNode): void {
  if (dirtyBitmaps.storable) return
  throw new BlockError('unsupported', `Format driver '${driver.name}' does not support bitmaps`, { detail: { format: driver.name } })
}

function assertFits({ name }: DirtyBitmap, source: BlockNode, target: BlockNode): void {
  if (target.dirtyBitmaps.find(name) !== undefined) {
    throw new BlockError('exists', `Failed to create bitmap ${name}: Bitmap already exists: ${name}`, { detail: { bitmap: name } })
  }
  if (source.size === target.size) return
  const why = `Bitmaps are of different sizes (destination size is ${target.size}, source size is ${source.size}) and can't be merged`
  throw new BlockError('invalid', `Failed to populate bitmap ${name}: ${why}`, { detail: { bitmap: name } })
}

async function copyBitmap(bitmap: DirtyBitmap, target: BlockNode): Promise<DirtyBitmap> {
  const { name, granularity, enabled } = bitmap
  const { dirtyBitmaps } = target
  const copy = inContext(`Failed to create bitmap ${name}: `, () => dirtyBitmaps.add({ name, granularity, enabled, persistent: true }))
  try {
    await dirtyBitmaps.merge(copy, [bitmap])
    return copy
  } catch (error) {
    await dirtyBitmaps.remove(copy)
    throw explained(`Failed to populate bitmap ${name}: `, error)
  }
}

function inContext<T>(what: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw explained(what, error)
  }
}

function explained(what: string, error: unknown): unknown {
  if (!isBlockError(error)) return error
  return new BlockError(error.code, `${what}${error.message}`, { errno: error.errno, detail: error.detail, cause: error })
}
