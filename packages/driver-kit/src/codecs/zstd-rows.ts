import type { CompressedPart } from './codec.ts'
import { zstdFrame, type ZstdFrame } from './zstd-frame.ts'

/** What one call decodes, at most: short enough that all threads get something to do. */
const ROW_BYTES = 1024 * 1024

/** Parts that one call may decode. @internal */
export interface ZstdRow {
  /** Their frames. */
  readonly from: Uint8Array
  /** Where their content goes. */
  readonly into: Uint8Array
  readonly parts: readonly CompressedPart[]
}

/**
 * Puts parts together whose frames lie one behind the other, and whose content goes one behind the other. Each frame says
 * how long its content is, and that it is the part's: decoders hold it to that, so that nothing can get into the next
 * part. Whatever is not like this, or damaged, stays alone.
 *
 * @internal
 */
export function zstdRows(from: Uint8Array, parts: readonly CompressedPart[]): ZstdRow[] {
  const rows: ZstdRow[] = []
  let row: CompressedPart[] = []
  let end = 0
  const close = (): void => {
    const [first] = row
    if (first === undefined) return
    const bytes = row.reduce((sum, { into }) => sum + into.length, 0)
    rows.push({ from: from.subarray(first.at, end), into: new Uint8Array(first.into.buffer, first.into.byteOffset, bytes), parts: row })
    row = []
  }
  for (const part of parts) {
    const frame = wholeFrame(from.subarray(part.at, part.at + part.bytes), part.into.length)
    const before = row.at(-1)
    const follows = before !== undefined && part.at === end && isBehind(part.into, before.into) && part.into.byteOffset + part.into.length - row[0]!.into.byteOffset <= ROW_BYTES
    if (!follows || frame === null) close()
    row.push(part)
    end = part.at + (frame?.end ?? part.bytes)
    if (frame === null) close()
  }
  close()
  return rows
}

/** The frame that data begins with, if it gives just so many bytes. */
function wholeFrame(data: Uint8Array, bytes: number): ZstdFrame | null {
  try {
    const frame = zstdFrame(data, 0)
    return frame.content === bytes && !frame.skippable ? frame : null
  } catch {
    // Whoever decodes it says what is wrong.
    return null
  }
}

function isBehind(next: Uint8Array, before: Uint8Array): boolean {
  return next.buffer === before.buffer && next.byteOffset === before.byteOffset + before.length
}
