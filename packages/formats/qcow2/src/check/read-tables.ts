import { isBlockError, type ChildHandle } from '@blockloom/block-driver'
import { viewOf } from '../on-disk/integers.ts'

/** Tables behind each other are read together, up to so many bytes. */
const BATCH_BYTES = 256 * 1024
/** Reads under way at once. */
const IN_FLIGHT = 8
/** After so many tables without any entry it is worth asking for holes before reading. */
const MANY_EMPTY = 1024

/** A file of tables, as large as its length says. @internal */
export interface TableFile {
  readonly file: ChildHandle
  readonly fileLength: number
  readonly signal: AbortSignal | undefined
}

/** What is at an offset: a table with at least one entry, one without, or nothing that can be read. @internal */
export type TableContent = DataView | 'empty' | 'unreadable'

interface Batch {
  readonly first: number
  readonly count: number
  readonly bytes: Promise<Uint8Array | null>
}

/**
 * Reads tables of `size` bytes and hands them to `visit` in the order of `offsets`, several reads ahead.
 *
 * Holes and what is beyond the end of the file are `empty`. `visit` must not keep the view.
 *
 * @internal
 */
export async function readTables(
  source: TableFile,
  offsets: ArrayLike<number>,
  size: number,
  visit: (index: number, table: TableContent) => void | Promise<void>,
): Promise<void> {
  const queue: Batch[] = []
  let next = 0
  let empty = 0
  const start = (): void => {
    const first = next
    let count = 0
    do {
      count++
      next++
    } while (next < offsets.length && count * size < BATCH_BYTES && offsets[next] === offsets[first]! + count * size)
    queue.push({ first, count, bytes: readBatch(source, offsets[first]!, count * size, empty > MANY_EMPTY) })
  }
  try {
    while (next < offsets.length || queue.length > 0) {
      while (next < offsets.length && queue.length < IN_FLIGHT) start()
      source.signal?.throwIfAborted()
      const batch = queue[0]!
      const bytes = await batch.bytes
      queue.shift()
      for (let i = 0; i < batch.count; i++) {
        const content = contentOf(bytes, i * size, size)
        if (content === 'empty') empty++
        const visited = visit(batch.first + i, content)
        if (visited !== undefined) await visited
      }
    }
  } finally {
    // After a failure reads may still be under way, into memory that nobody wants.
    await Promise.allSettled(queue.map((batch) => batch.bytes))
  }
}

function contentOf(bytes: Uint8Array | null, at: number, size: number): TableContent {
  if (bytes === null) return 'unreadable'
  if (bytes.length === 0) return 'empty'
  const table = bytes.subarray(at, at + size)
  return isZero(table) ? 'empty' : viewOf(table)
}

/** Null if it cannot be read, empty if nothing is there. */
async function readBatch(source: TableFile, offset: number, length: number, sparse: boolean): Promise<Uint8Array | null> {
  const { file, fileLength } = source
  if (offset >= fileLength) return NOTHING
  try {
    if (sparse) {
      const extent = await file.extents(offset, Math.min(length, fileLength - offset))
      if (extent.kind !== 'data' && extent.bytes >= Math.min(length, fileLength - offset)) return NOTHING
    }
    const bytes = new Uint8Array(length)
    await file.read(offset, bytes)
    return bytes
  } catch (error) {
    if (isBlockError(error)) return null
    throw error
  }
}

const NOTHING = new Uint8Array()

/** Tables are multiples of 512 bytes at least, and their buffers aligned. */
function isZero(table: Uint8Array): boolean {
  const words = new Uint32Array(table.buffer, table.byteOffset, table.length / 4)
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false
  return true
}
