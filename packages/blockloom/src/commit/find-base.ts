import { realpathSync } from 'node:fs'
import type { BlockNode } from '@blockloom/block-core'
import { BlockError } from '@blockloom/block-driver'
import { backingPath } from '../backing-path.ts'

/** A chain cut in two. @internal */
export interface Cut {
  /** The layers whose content moves down, the overlay first. */
  readonly above: readonly BlockNode[]
  readonly base: BlockNode
  /** What the base itself is based on. */
  readonly below: readonly BlockNode[]
}

/**
 * Finds the base in a chain.
 *
 * @param layers - the chain without filters, the overlay first
 * @param name - the base as its overlay names it, or a path relative to that overlay's folder; undefined: the layer below the overlay
 * @throws BlockError `invalid` if there is nothing below; `not-found` if no layer is called so
 * @internal
 */
export function findBase(layers: readonly BlockNode[], name: string | undefined): Cut {
  const at = name === undefined ? 1 : layers.findIndex((layer, i) => i > 0 && isCalled(layer, layers[i - 1]!, name))
  const base = layers[at]
  if (base !== undefined) return { above: layers.slice(0, at), base, below: layers.slice(at + 1) }
  const top = layers[0]!
  if (name === undefined) throw new BlockError('invalid', 'Image does not have a backing file', { detail: { filename: top.filename } })
  throw new BlockError('not-found', `Did not find '${name}' in the backing chain of '${top.filename}'`, { detail: { option: 'base' } })
}

function isCalled(layer: BlockNode, overlay: BlockNode, name: string): boolean {
  if (name === '') return false
  if (name === layer.filename || name === overlay.backingReference?.named?.filename) return true
  const path = realPath(backingPath(overlay.filename, name))
  return path !== null && path === realPath(layer.filename)
}

function realPath(name: string | undefined): string | null {
  if (name === undefined) return null
  try {
    return realpathSync(name.startsWith('file:') ? name.slice('file:'.length) : name)
  } catch {
    return null
  }
}
