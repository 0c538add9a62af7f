import { realpathSync } from 'node:fs'
import type { BlockNode } from '@blockloom/block-core'

/** The topmost layer that two backing chains share with all that is below it, as the node of each. @internal */
export interface CommonLayer {
  readonly old: BlockNode
  readonly new: BlockNode
}

/** The layers of a backing chain, filters left out, top first. @internal */
export function layersOf(top: BlockNode | null): BlockNode[] {
  const layers: BlockNode[] = []
  for (let node = top === null ? null : withoutFilters(top); node !== null; ) {
    layers.push(node)
    node = node.backing === null ? null : withoutFilters(node.backing)
  }
  return layers
}

/** The node that shows the same bytes and is no filter. @internal */
export function withoutFilters(node: BlockNode): BlockNode {
  let at = node
  for (let next = at.filtered; next !== null; next = at.filtered) at = next
  return at
}

/**
 * What two chains that were opened separately have in common: what neither of them has above it need not be compared.
 *
 * @internal
 */
export function commonLayer(old: readonly BlockNode[], now: readonly BlockNode[]): CommonLayer | null {
  let common: CommonLayer | null = null
  for (let i = 1; i <= Math.min(old.length, now.length); i++) {
    const a = old.at(-i)!
    const b = now.at(-i)!
    if (!isSameImage(a, b)) break
    common = { old: a, new: b }
  }
  return common
}

/** True if both are the same file, read the same way. What is no plain file is never the same. @internal */
export function isSameImage(a: BlockNode, b: BlockNode): boolean {
  if (a === b) return true
  if (a.driver.name !== b.driver.name) return false
  const file = hostFile(a)
  return file !== null && file === hostFile(b)
}

/** The real path of an image that is a plain file, or null. */
function hostFile(node: BlockNode): string | null {
  const { filename } = node
  const isProtocol = /^[^/:]*:/.test(filename) && !filename.startsWith('file:')
  if (isProtocol) return null
  try {
    return realpathSync(filename.startsWith('file:') ? filename.slice('file:'.length) : filename)
  } catch {
    return null
  }
}
