import type { BlockNode } from './block-node.ts'

/**
 * The name of a node: the protocol's plain name; for a format with nothing but defaults, the name of its file;
 * else `json:` with what reopens it.
 *
 * @internal
 */
export function nodeFilename(node: BlockNode): string {
  return plainFilename(node) ?? `json:${JSON.stringify(fullOptions(node))}`
}

function plainFilename(node: BlockNode): string | null {
  if (node.instance.filename !== undefined) return node.instance.filename
  if (node.driver.kind !== 'format' || hasOwnOptions(node)) return null
  const file = node.child('file')
  return file === null ? null : plainFilename(file)
}

/** The spec that opens the same thing again, as in `full_open_options`. @internal */
export function fullOptions(node: BlockNode): Record<string, unknown> {
  const spec: Record<string, unknown> = { driver: node.driver.name, ...changedOptions(node) }
  for (const { name, link } of node.childLinks) {
    // What the image names by itself need not be said again.
    if (link !== null && name !== 'backing') spec[name] = fullOptions(link.target)
  }
  return spec
}

function hasOwnOptions(node: BlockNode): boolean {
  return Object.keys(changedOptions(node)).length > 0
}

function changedOptions(node: BlockNode): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(node.settings.options)) {
    const field = node.driver.options[name]
    if (field?.secret !== true && value !== field?.default) out[name] = value
  }
  return out
}
