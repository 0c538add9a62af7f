import { parseSize, type AnyDriver } from '@blockloom/block-driver'
import { imageInfo, type DiskImage } from 'blockloom'

/** Fixed part of an entry of the bitmap directory (qcow2.txt, "Bitmap directory"), padded to 8 bytes with its name. */
const ENTRY_BYTES = 24

/**
 * Bytes that a copy of the source's persistent bitmaps takes in a new qcow2 image; undefined if either side cannot have
 * any.
 *
 * @internal
 */
export async function storedBitmapBytes(disk: DiskImage, target: AnyDriver, options: Readonly<Record<string, string>>): Promise<number | undefined> {
  const bitmaps = target.name === 'qcow2' ? await bitmapsOf(disk) : undefined
  if (bitmaps === undefined) return undefined
  const cluster = parseSize(options['cluster_size'] ?? '') ?? 65536
  const clusters = (bytes: number): number => Math.ceil(bytes / cluster)
  let total = 0
  let directory = 0
  for (const { name, granularity } of bitmaps) {
    const data = clusters(Math.ceil(Math.ceil(disk.size / granularity) / 8))
    // An entry of eight bytes per cluster of the bitmap.
    total += data + clusters(data * 8)
    directory += Math.ceil((ENTRY_BYTES + new TextEncoder().encode(name).length) / 8) * 8
  }
  return (total + clusters(directory)) * cluster
}

/** The image's format stores bitmaps. @internal */
export async function canHaveBitmaps(disk: DiskImage): Promise<boolean> {
  return (await bitmapsOf(disk)) !== undefined
}

/** Only qcow2 of version 3 stores bitmaps. */
async function bitmapsOf(disk: DiskImage): Promise<readonly { readonly name: string; readonly granularity: number }[] | undefined> {
  const specific = (await imageInfo(disk.node))['format-specific']
  if (specific?.type !== 'qcow2' || specific.data['compat'] === '0.10') return undefined
  return (specific.data['bitmaps'] ?? []) as { name: string; granularity: number }[]
}
