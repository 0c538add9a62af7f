import type { BlockNode, Graph, OpenOptions, RawSpec } from '@blockloom/block-core'
import { BlockError } from '@blockloom/block-driver'
import type { Cut } from './find-base.ts'

/** The two parts of a chain, opened apart from each other. @internal */
export interface Reopened {
  /** The overlay, open for writing, on the layers above the base only: what is not in them is not there. */
  readonly top: BlockNode
  /** The base, open for writing, on its own backing chain. */
  readonly base: BlockNode
}

/** How a layer was opened, so that it can be opened again. */
interface Layer {
  readonly driver: string
  /** Its format was a guess. */
  readonly guessed: boolean
  readonly hasBacking: boolean
  readonly spec: RawSpec
}

/** How to open the layers of a chain again. @internal */
export interface Layers {
  readonly above: readonly Layer[]
  readonly base: Layer
  readonly below: readonly Layer[]
}

/** Takes down how the layers were opened; they can be closed then. @internal */
export function describeLayers({ above, base, below }: Cut): Layers {
  return { above: above.map(describe), base: describe(base), below: below.map(describe) }
}

function describe(node: BlockNode): Layer {
  // A guest may have written another format's header into a disk whose format is guessed: it is guarded again.
  const hasBacking = Object.hasOwn(node.driver.children, 'backing')
  return { driver: node.driver.name, guessed: node.settings.probed && !hasBacking, hasBacking, spec: specOf(node) }
}

function specOf(node: BlockNode): RawSpec {
  const spec: Record<string, unknown> = { driver: node.driver.name, 'detect-zeroes': node.settings.detectZeroes }
  for (const [name, value] of Object.entries(node.settings.options)) if (value !== undefined) spec[name] = value
  for (const { name, node: child } of node.children) if (name !== 'backing') spec[name] = specOf(child)
  return spec
}

/**
 * Opens the layers again, the base for writing. All belong to the graph and are closed with it.
 *
 * @internal
 */
export async function reopenLayers(graph: Graph, { above, base, below }: Layers, signal: AbortSignal | undefined): Promise<Reopened> {
  const common = { unmap: true, ...(signal === undefined ? {} : { signal }) }
  const read: OpenOptions = { ...common, passive: true, readOnly: true }
  const write: OpenOptions = { ...common, readOnly: false }
  const lower = await open(graph, base, await openDown(graph, below, read), write)
  return { base: lower, top: await open(graph, above[0]!, await openDown(graph, above.slice(1), read), write) }
}

/** Opens layers on top of each other, the lowest on nothing; null if there are none. */
async function openDown(graph: Graph, layers: readonly Layer[], options: OpenOptions): Promise<BlockNode | null> {
  const [top, ...rest] = layers
  return top === undefined ? null : open(graph, top, await openDown(graph, rest, options), options)
}

async function open(graph: Graph, layer: Layer, backing: BlockNode | null, options: OpenOptions): Promise<BlockNode> {
  const spec = layer.hasBacking ? { ...layer.spec, backing: backing?.name ?? null } : layer.spec
  if (!layer.guessed) return graph.openSpec(spec, options)
  const { driver: _driver, ...rest } = spec as Record<string, unknown>
  const node = await graph.openFilename(`json:${JSON.stringify(rest)}`, { probe: true }, options)
  if (node.driver.name === layer.driver) return node
  throw new BlockError('busy', `The format of '${node.filename}' was '${layer.driver}' a moment ago and is '${node.driver.name}' now`, { detail: { filename: node.filename } })
}
