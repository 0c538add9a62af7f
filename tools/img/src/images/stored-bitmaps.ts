import { parseSize, type AnyDriver } from '@blockloom/block-driver'
import type { DiskImage } from 'blockloom'

/** Fixed part of an entry of the bitmap directory (qcow2.txt, "Bitmap directory"), padded to 8 bytes with its name. */
const ENTRY_BYTES = 24

/**
 * Bytes that a copy of the source's persistent bitmaps takes in a new qcow2 image; undefined if either side has none.
 *
 * @internal
 */
export function storedBitmapBytes(disk: DiskImage, target: AnyDriver, options: Readonly<Record<string, string>>): number | undefined {
  const { bitmaps } = disk.node
  if (target.name !== 'qcow2' || bitmaps === undefined) return undefined
  const cluster = parseSize(options['cluster_size'] ?? '') ?? 65536
  const clusters = (bytes: number): number => Math.ceil(bytes / cluster)
  let total = 0
  let directory = 0
  for (const { name, granularity } of bitmaps.list()) {
    const data = clusters(Math.ceil(Math.ceil(disk.size / granularity) / 8))
    // An entry of eight bytes per cluster of the bitmap.
    total += data + clusters(data * 8)
    directory += Math.ceil((ENTRY_BYTES + new TextEncoder().encode(name).length) / 8) * 8
  }
  return (total + clusters(directory)) * cluster
}
