import type { Extent } from '@blockloom/block-driver'
import type { BlockNode } from '../node/block-node.ts'

/**
 * What is known about a range of guest bytes, seen through a whole backing chain.
 *
 * @public
 */
export interface BlockStatus {
  /** How far it holds, at least 1 and at most what was asked. */
  readonly bytes: number
  /** Reads as zeroes. */
  readonly zero: boolean
  /** Data is stored for it (false: only metadata says what it reads as). */
  readonly data: boolean
  /** A layer of the chain (down to the base, if given) says what is here. */
  readonly allocated: boolean
  /** Only `read` gives the bytes: compressed or encrypted. */
  readonly encoded: boolean
  readonly compressed: boolean
  /** Which layer it comes from: 0 is the node itself, filters not counted. */
  readonly depth: number
  /** Where the bytes lie, if they can be read there unchanged; `node` null: on the host itself. */
  readonly host?: { readonly node: BlockNode | null; readonly filename: string | undefined; readonly offset: number }
}

/** The node that shows the same bytes and is no filter. @internal */
export function skipFilters(node: BlockNode): BlockNode {
  let at = node
  for (;;) {
    const next = at.filtered
    if (next === null) return at
    at = next
  }
}

/** The layer below in the backing chain, filters skipped; null at the bottom. @internal */
export function backingOf(node: BlockNode): BlockNode | null {
  const below = skipFilters(node).backing
  return below === null ? null : skipFilters(below)
}

/**
 * Asks layer after layer until one knows.
 *
 * @param base - stop above this node: what only it and lower layers have counts as not allocated
 * @internal
 */
export function blockStatus(top: BlockNode, offset: number, bytes: number, base: BlockNode | null): BlockStatus | Promise<BlockStatus> {
  return ask({ node: skipFilters(top), offset, bytes, base, depth: 0 })
}

/** One layer, and what is asked of it. */
interface Question {
  readonly node: BlockNode
  readonly offset: number
  readonly bytes: number
  readonly base: BlockNode | null
  readonly depth: number
}

function ask(question: Question): BlockStatus | Promise<BlockStatus> {
  const extent = question.node.requests.extents(question.offset, question.bytes)
  return extent instanceof Promise ? extent.then((known) => answer(question, known)) : answer(question, extent)
}

/** What the layer says, or the layer below if it does not know. */
function answer({ node, offset, bytes: asked, base, depth }: Question, extent: Extent): BlockStatus | Promise<BlockStatus> {
  const bytes = Math.min(asked, extent.bytes)
  if (extent.kind !== 'absent') return describe(node, extent, bytes, depth)
  const below = backingOf(node)
  if (below === null || below === base) {
    // Nothing below says anything: zeroes, unless a base that was left out would know better.
    return { bytes, zero: below === null, data: false, allocated: false, encoded: false, compressed: false, depth }
  }
  if (offset >= below.size) {
    // A backing file that is too short reads as zeroes; the layer above decides that.
    return { bytes, zero: true, data: false, allocated: true, encoded: false, compressed: false, depth }
  }
  return ask({ node: below, offset, bytes: Math.min(bytes, below.size - offset), base, depth: depth + 1 })
}

function describe(node: BlockNode, extent: Extent, bytes: number, depth: number): BlockStatus {
  const encoded = extent.kind === 'encoded'
  const host = extent.kind === 'data' || extent.kind === 'zero' ? extent.host : undefined
  return {
    bytes,
    zero: extent.kind === 'zero',
    data: extent.kind === 'data' || encoded,
    allocated: true,
    encoded,
    compressed: extent.kind === 'encoded' && (extent.compressed ?? true),
    depth,
    ...(host === undefined ? {} : { host: locate(node, host) }),
  }
}

function locate(node: BlockNode, host: { child: { name: string } | null; offset: number }): NonNullable<BlockStatus['host']> {
  const below = host.child === null ? null : node.child(host.child.name)
  return { node: below, filename: (below ?? node).filename, offset: host.offset }
}
