import type { DiskImage } from 'blockloom'

type Node = DiskImage['node']

/** A run of the disk as one layer of its backing chain has it. @internal */
export interface LayerRun {
  readonly start: number
  readonly length: number
  /** Which layer says so: 0 is the image itself. */
  readonly depth: number
  /** That layer has something here, if only that it is zero. */
  readonly present: boolean
  readonly zero: boolean
  readonly data: boolean
  /** Where the bytes lie in `file`, if they can be read there. */
  readonly offset?: number
  readonly file?: string
}

/** Runs from `start` to `end`, neighbours that continue each other merged. @internal */
export async function* layerMap(top: Node, start: number, end: number): AsyncGenerator<LayerRun, void, undefined> {
  let pending: LayerRun | null = null
  for (let at = start; at < end; ) {
    const run: LayerRun = at < top.size ? await runAt(top, at, Math.min(end, top.size) - at) : afterEnd(at, end - at)
    const merged: LayerRun | null = pending === null ? run : join(pending, run)
    if (merged === null) yield pending!
    pending = merged ?? run
    at += run.length
  }
  if (pending !== null) yield pending
}

/** The rest of the last sector of a raw file: a hole of its own. */
function afterEnd(start: number, length: number): LayerRun {
  return { start, length, depth: 0, present: true, zero: true, data: false, offset: start }
}

async function runAt(top: Node, start: number, most: number): Promise<LayerRun> {
  let node = withoutFilters(top)
  let length = most
  for (let depth = 0; ; depth++) {
    const extent = await node.extents(start, length)
    length = extent.bytes
    if (extent.kind !== 'absent') {
      const zero = extent.kind === 'zero'
      const host = extent.kind === 'encoded' ? undefined : extent.host
      const file = host === undefined ? undefined : host.child === null ? node.filename : node.child(host.child.name)?.filename
      return { start, length, depth, present: true, zero, data: !zero, ...(host === undefined ? {} : { offset: host.offset }), ...(file === undefined ? {} : { file }) }
    }
    const below = node.backing === null ? null : withoutFilters(node.backing)
    if (below === null || start >= below.size) return { start, length, depth, present: false, zero: true, data: false }
    length = Math.min(length, below.size - start)
    node = below
  }
}

function withoutFilters(node: Node): Node {
  let at = node
  for (let next = at.filtered; next !== null; next = at.filtered) at = next
  return at
}

/** Both as one run, or null if the second does not continue the first. */
function join(a: LayerRun, b: LayerRun): LayerRun | null {
  if (a.depth !== b.depth || a.present !== b.present || a.zero !== b.zero || a.data !== b.data || a.file !== b.file) return null
  const follows = a.offset === undefined ? b.offset === undefined : a.offset + a.length === b.offset
  return follows ? { ...a, length: a.length + b.length } : null
}
