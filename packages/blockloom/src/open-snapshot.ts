import { createGraph, type BlockNode } from '@blockloom/block-core'
import { BlockError, defineDriver, type Extent, type Instance } from '@blockloom/block-driver'
import { DiskImage } from './disk-image.ts'

/**
 * Opens an internal snapshot of an open image: the disk as it was, read-only, backing files included. The image has to
 * stay open longer.
 *
 * @param select - its id, else its name
 * @throws BlockError `not-found`; `unsupported` if the format has no snapshots
 * @public
 */
export async function openSnapshot(image: DiskImage, select: string): Promise<DiskImage> {
  const { node } = image
  if (node.snapshots === undefined) {
    throw new BlockError('unsupported', `Block format '${node.driver.name}' used by device '' does not support temporarily loading internal snapshots`, { detail: { format: node.driver.name } })
  }
  const instance = await node.snapshots.openReadOnly(select)
  const driver = defineDriver({
    name: `${node.driver.name}-snapshot`,
    kind: 'format',
    summary: 'an internal snapshot',
    options: {},
    open: () => Promise.resolve(onBacking(instance, node.backing)),
  })
  const graph = createGraph({ drivers: [driver] })
  return new DiskImage(graph, await graph.openSpec({ driver: driver.name }, { readOnly: true }))
}

/** A snapshot reads through to the backing file of its image, which is no child of the node that shows it. */
function onBacking(instance: Instance, backing: BlockNode | null): Instance {
  const { extents } = instance
  if (backing === null || extents === undefined) return instance
  return {
    ...instance,
    extents: async (offset, bytes): Promise<Extent> => {
      const extent = await extents(offset, bytes)
      if (extent.kind !== 'absent' || offset >= backing.size) return extent
      const below = await backing.status(offset, Math.min(extent.bytes, backing.size - offset))
      return { kind: below.zero ? 'zero' : 'data', bytes: below.bytes }
    },
  }
}
