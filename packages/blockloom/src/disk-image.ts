import type { BlockNode, BlockStatus, DirtyBitmaps, Graph } from '@blockloom/block-core'
import { BlockError, type CheckOptions, type CheckResult, type ResizeOptions, type SnapshotInfo } from '@blockloom/block-driver'
import { diskExtents, type DiskExtent } from './extents.ts'
import { readableFrom, writableTo, type StreamRange } from './streams.ts'

/**
 * An open disk image with everything below it. Offsets and lengths are bytes of the virtual disk; any alignment works,
 * and many requests may be in flight.
 *
 * @public
 */
export class DiskImage {
  /** The top node, for everything that this class does not do. */
  readonly node: BlockNode
  readonly #graph: Graph

  /** @internal */
  constructor(graph: Graph, node: BlockNode) {
    this.#graph = graph
    this.node = node
  }

  /** Where its nodes live, for what needs more of them. @internal */
  get graph(): Graph {
    return this.#graph
  }

  /** Virtual size in bytes. */
  get size(): number {
    return this.node.size
  }

  /** Driver of the top node: `qcow2`, `raw`, … */
  get format(): string {
    return this.node.driver.name
  }

  get filename(): string {
    return this.node.filename
  }

  get readOnly(): boolean {
    return this.node.readOnly
  }

  /** Bytes at an offset, as a new array. For less copying, see {@link DiskImage.readInto}. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    if (!Number.isSafeInteger(length) || length < 0 || length > this.size) {
      throw new BlockError('range', `Cannot read ${length} bytes of an image of ${this.size}`, { detail: { bytes: length } })
    }
    const bytes = new Uint8Array(length)
    await this.node.read(offset, bytes)
    return bytes
  }

  /** Fills an array with the bytes at an offset. */
  async readInto(offset: number, into: Uint8Array): Promise<void> {
    await this.node.read(offset, into)
  }

  /** The array must not change until the promise settles. */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    await this.node.write(offset, bytes)
  }

  /** Makes a range read as zeroes, freeing space where the format can. */
  async zero(offset: number, length: number): Promise<void> {
    await this.node.zero(offset, length)
  }

  /** Advice that a range is not needed. */
  async discard(offset: number, length: number): Promise<void> {
    await this.node.discard(offset, length)
  }

  /** Everything written before survives power loss afterwards. */
  async flush(): Promise<void> {
    await this.node.flush()
  }

  async resize(size: number, options: ResizeOptions = {}): Promise<void> {
    await this.node.resize(size, options)
  }

  /** What the backing chain says about the start of a range. */
  async status(offset: number, length: number): Promise<BlockStatus> {
    return this.node.status(offset, length)
  }

  /** Runs of a range, in order, neighbours of one kind merged. */
  extents(range: StreamRange = {}): AsyncIterable<DiskExtent> {
    return diskExtents(this.node, range)
  }

  /** The bytes of a range as a web stream. */
  readable(range: StreamRange = {}): ReadableStream<Uint8Array> {
    return readableFrom(this.node, range)
  }

  /** Writes a web stream from `start` on; closing it flushes. */
  writable(range: Pick<StreamRange, 'start'> = {}): WritableStream<Uint8Array> {
    return writableTo(this.node, range.start ?? 0)
  }

  /** Internal snapshots; empty if the format has none. */
  get snapshots(): readonly SnapshotInfo[] {
    return this.node.snapshots?.list() ?? []
  }

  /** Which bytes changed since when: what incremental backups are made from. Stored in the image, where it can. */
  get bitmaps(): DirtyBitmaps {
    return this.node.dirtyBitmaps
  }

  /** Consistency check, and repair if asked for. @throws BlockError `unsupported` if the format has none */
  async check(options: CheckOptions = { fix: 'none' }): Promise<CheckResult> {
    if (this.node.check === undefined) throw new BlockError('unsupported', 'This image format does not support checks')
    return this.node.check.check(options)
  }

  /** Flushes and closes the image and everything below it. */
  async close(): Promise<void> {
    await this.#graph.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
