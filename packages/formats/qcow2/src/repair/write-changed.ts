import type { ChildHandle } from '@blockloom/block-driver'

const SECTOR = 512

/**
 * Writes the sectors of a table that changed, so that no write is torn inside an entry.
 *
 * @param offset - where the table is in the file
 * @param bytes - offsets in the table of bytes that changed, ascending
 * @internal
 */
export async function writeChanged(file: ChildHandle, offset: number, table: DataView, bytes: Iterable<number>): Promise<void> {
  let from = -1
  let to = -1
  const write = (): Promise<void> => file.write(offset + from, new Uint8Array(table.buffer, table.byteOffset + from, Math.min(to, table.byteLength) - from))
  for (const at of bytes) {
    const sector = at - (at % SECTOR)
    if (sector < to) continue
    if (sector !== to) {
      if (to > 0) await write()
      from = sector
    }
    to = sector + SECTOR
  }
  if (to > 0) await write()
}
