import { BlockError, type StoredBitmap } from '@blockloom/block-driver'
import type { Qcow2Image } from '../image.ts'
import { bitmapBytesFor, bitmapEntryBytes } from '../on-disk/bitmap-directory.ts'
import * as limits from '../on-disk/limits.ts'
import { encodeName, printableName } from '../on-disk/names.ts'

type Wanted = Pick<StoredBitmap, 'name' | 'granularity'>

/**
 * Checks that the image could have these bitmaps too, or others of the same names.
 *
 * @throws BlockError `invalid`, in the reference's words; `unsupported` for version 2
 * @internal
 */
export function assertStorable({ version, bitmaps, header, clusterSize }: Qcow2Image, nodeName: string, wanted: readonly Wanted[]): void {
  const names = new Set(bitmaps.entries.map(({ name }) => name))
  let bytes = 0
  for (const name of names) bytes += bitmapEntryBytes(name)
  for (const { name, granularity } of wanted) {
    if (!names.has(name)) bytes += bitmapEntryBytes(name)
    names.add(name)
    const reason = tooMany(version, names.size, bytes) ?? unfit(name, granularity, header.size, clusterSize)
    if (reason === undefined) continue
    const message = `Can't make bitmap '${printableName(name)}' persistent in '${nodeName}': ${reason}`
    throw new BlockError(version < 3 ? 'unsupported' : 'invalid', message, { detail: { bitmap: name } })
  }
}

function tooMany(version: number, count: number, bytes: number): string | undefined {
  if (version < 3) return 'Cannot store dirty bitmaps in qcow2 v2 files'
  if (count > limits.MAX_BITMAPS) return 'Maximum number of persistent bitmaps is already reached'
  return bytes > limits.MAX_BITMAP_DIRECTORY_BYTES ? 'Not enough space in the bitmap directory' : undefined
}

function unfit(name: string, granularity: number, size: number, clusterSize: number): string | undefined {
  if (name === '') return 'Bitmap name cannot be empty'
  if (encodeName(name).length > limits.MAX_BITMAP_NAME_BYTES) return `Name length exceeds maximum (${limits.MAX_BITMAP_NAME_BYTES} characters)`
  const bits = Math.log2(granularity)
  if (!Number.isInteger(bits)) return 'Granularity must be power of 2'
  if (bits < limits.MIN_BITMAP_GRANULARITY_BITS) return `Granularity is under minimum (${2 ** limits.MIN_BITMAP_GRANULARITY_BITS} bytes)`
  if (bits > limits.MAX_BITMAP_GRANULARITY_BITS) return `Granularity exceeds maximum (${2 ** limits.MAX_BITMAP_GRANULARITY_BITS} bytes)`
  const bytes = bitmapBytesFor(size, bits)
  if (bytes > limits.MAX_BITMAP_BYTES || bytes > limits.MAX_BITMAP_TABLE_ENTRIES * clusterSize) {
    return 'Too much space will be occupied by the bitmap. Use larger granularity'
  }
  return undefined
}
