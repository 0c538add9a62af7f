import type { BlockNode } from '../node/block-node.ts'
import { refreshPermissions } from '../node/refresh-permissions.ts'

/** @internal */
export interface NodeRegistry {
  drop(node: BlockNode): void
}

/**
 * Closes nodes that nobody refers to, and then what only they referred to, parents first. Every node is closed even
 * if another one fails; the first error is thrown at the end.
 *
 * @internal
 */
export async function closeUnused(candidates: readonly BlockNode[], registry: NodeRegistry): Promise<void> {
  const errors: unknown[] = []
  const survivors = new Set<BlockNode>()
  const queue = [...candidates]
  for (let node = queue.shift(); node !== undefined; node = queue.shift()) {
    if (node.closed) continue
    if (node.parentLinks.size > 0) {
      survivors.add(node)
      continue
    }
    errors.push(...(await closeOne(node)))
    registry.drop(node)
    for (const entry of node.childLinks) {
      if (entry.link === null) continue
      const child = entry.link.target
      child.parentLinks.delete(entry.link)
      queue.push(child)
    }
  }
  const left = [...survivors].filter((node) => !node.closed)
  if (left.length > 0) await refreshPermissions(left).catch((error: unknown) => errors.push(error))
  if (errors.length > 0) throw errors[0]
}

/** Waits for what is in flight, stores bitmaps, flushes, closes the driver. */
async function closeOne(node: BlockNode): Promise<unknown[]> {
  const errors: unknown[] = []
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work()
    } catch (error) {
      errors.push(error)
    }
  }
  node.drains.begin()
  await node.requests.inFlight.idle()
  await attempt(() => node.dirtyBitmaps.storeAll())
  // As in the reference, closing is as good as a last flush. A node that did not change costs nothing.
  if (node.requests.dirty) await attempt(() => node.requests.flush('stable'))
  node.markClosed()
  await attempt(() => node.instance.close())
  node.drains.end()
  return errors
}
