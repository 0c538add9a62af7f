import type { ChildHandle } from '@blockloom/block-driver'
import type { CheckedTable } from './checked-table.ts'

/** How a table is read. @public */
export interface ReadTableOptions {
  /** Bytes per request, a multiple of the entry's length; default 1 MiB. */
  readonly chunkBytes?: number
  /** Stops between two requests. */
  readonly signal?: AbortSignal | undefined
}

const CHUNK = 1024 * 1024

/** Reads a whole table, which {@link checkedTable} has checked, in requests of bounded length. @public */
export async function readTable(child: ChildHandle, table: CheckedTable, options: ReadTableOptions = {}): Promise<Uint8Array> {
  const bytes = new Uint8Array(table.bytes)
  for (const [at, length] of chunks(table, options)) await child.read(table.offset + at, bytes.subarray(at, at + length))
  return bytes
}

/**
 * Visits a table piece by piece, in order, without holding all of it: for tables that are looked at once.
 *
 * @param visit - gets each piece and its place in the table; the buffer is reused afterwards
 * @public
 */
export async function visitTable(
  child: ChildHandle,
  table: CheckedTable,
  visit: (piece: Uint8Array, at: number) => void | Promise<void>,
  options: ReadTableOptions = {},
): Promise<void> {
  const buffer = new Uint8Array(Math.min(table.bytes, options.chunkBytes ?? CHUNK))
  for (const [at, length] of chunks(table, options)) {
    const piece = buffer.subarray(0, length)
    await child.read(table.offset + at, piece)
    await visit(piece, at)
  }
}

function* chunks(table: CheckedTable, { chunkBytes = CHUNK, signal }: ReadTableOptions): Generator<readonly [at: number, length: number]> {
  for (let at = 0; at < table.bytes; at += chunkBytes) {
    signal?.throwIfAborted()
    yield [at, Math.min(chunkBytes, table.bytes - at)]
  }
}
