import { BlockError } from '@blockloom/block-driver'
import { encodeTable, MAX_ENTRIES, ZERO } from './on-disk.ts'
import type { ToyImage } from './toy-image.ts'

export async function resizeToy(image: ToyImage, size: number): Promise<void> {
  if (Math.ceil(size / image.cluster) > MAX_ENTRIES) throw new BlockError('range', 'The image is too large', { errno: 'EFBIG' })
  await image.flush()
  if (size < image.header.size) await shrink(image, size)
  else await grow(image, size)
}

async function shrink(image: ToyImage, size: number): Promise<void> {
  const { cluster } = image
  const tail = Math.min(image.header.size, Math.ceil(size / cluster) * cluster) - size
  // What is cut off must not come back when the image grows.
  if (tail > 0 && image.entries[Math.floor(size / cluster)] !== 0) await image.write(size, new Uint8Array(tail))
  await image.flush()
  const before = image.clusters
  await image.writeHeader({ size })
  for (let index = image.clusters; index < before; index++) image.point(index, 0)
  await image.flush()
}

async function grow(image: ToyImage, size: number): Promise<void> {
  const { cluster, header: { size: before, tableEntries } } = image
  const count = Math.ceil(size / cluster)
  if (count > tableEntries) {
    const entries = [...image.entries, ...Array.from({ length: 2 * count - tableEntries }, () => 0)]
    const tableOffset = image.allocateRun(entries.length * 8)
    await image.file.write(tableOffset, encodeTable(entries))
    await image.writeHeader({ tableOffset, tableEntries: entries.length })
    image.entries = entries
  }
  const first = image.clusters
  const tail = Math.min(size, first * cluster) - before
  if (image.backing.current) {
    if (tail > 0) await image.write(before, new Uint8Array(tail))
    for (let index = first; index < count; index++) image.point(index, ZERO)
    await image.flush()
  }
  await image.writeHeader({ size })
}
