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
  for (const { from, to } of sectorRuns(bytes)) {
    await file.write(offset + from, new Uint8Array(table.buffer, table.byteOffset + from, Math.min(to, table.byteLength) - from))
  }
}

/** Neighbouring sectors together. */
function* sectorRuns(bytes: Iterable<number>): Generator<{ readonly from: number; readonly to: number }> {
  let from = -1
  let to = -1
  for (const at of bytes) {
    const sector = at - (at % SECTOR)
    if (sector < to) continue
    if (sector !== to) {
      if (to > 0) yield { from, to }
      from = sector
    }
    to = sector + SECTOR
  }
  if (to > 0) yield { from, to }
}
