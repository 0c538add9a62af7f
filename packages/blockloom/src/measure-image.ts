import type { BlockNode } from '@blockloom/block-core'
import { BlockError, parseOptions, type AnyDriver, type Extent, type Measurement } from '@blockloom/block-driver'
import { allDrivers } from './drivers.ts'

/** @public */
export interface MeasureOptions {
  /** The format of the image to be. */
  readonly format: string
  /** The format's creation options; a size among them is not regarded. */
  readonly options?: Readonly<Record<string, unknown>>
  /** The image that is going to be converted, or the virtual size of an empty one in bytes. */
  readonly source: BlockNode | number
  readonly drivers?: readonly AnyDriver[]
}

/**
 * How many bytes a new image will take on the host.
 *
 * @throws BlockError `unsupported` if the format cannot say; `invalid` for options that it does not take
 * @public
 */
export async function measureImage(options: MeasureOptions): Promise<Measurement> {
  const { format, source, drivers = allDrivers } = options
  const driver = drivers.find(({ name }) => name === format)
  if (driver === undefined) throw new BlockError('invalid', `Unknown file format '${format}'`, { detail: { format } })
  const { creation } = driver
  if (creation === undefined) throw new BlockError('unsupported', `Format driver '${format}' does not support image creation`, { detail: { format } })
  if (creation.measure === undefined) throw new BlockError('unsupported', `Block driver '${format}' does not support size measurement`, { detail: { format } })
  const size = typeof source === 'number' ? source : source.size
  const parsed = parseOptions(creation.options, { ...options.options, size })
  return creation.measure({ options: parsed as never, size, ...(typeof source === 'number' ? {} : { source: runs(source) }) })
}

async function* runs(node: BlockNode): AsyncGenerator<Extent, void, undefined> {
  for (let at = 0; at < node.size; ) {
    const status = await node.status(at, node.size - at)
    yield { kind: status.zero ? 'zero' : status.data ? 'data' : 'absent', bytes: status.bytes }
    at += status.bytes
  }
}
