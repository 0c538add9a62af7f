import { BlockError } from '@blockloom/block-driver'

/** A table as an image describes it, and what bounds it. All in bytes, except `entries`. @public */
export interface TableClaim {
  /** Where the image says it lies in the file. */
  readonly offset: number
  /** How many entries the image says it has. */
  readonly entries: number
  readonly entryBytes: number
  /** The most that the format, or our memory, allows. */
  readonly maxBytes: number
  /** The size of the file; Infinity if the table may reach past its end, where it reads as zeroes. */
  readonly fileSize: number
  /** `offset` must be a multiple of it; default 1. */
  readonly alignment?: number
}

/** A table that may be allocated and read. @public */
export interface CheckedTable {
  /** As the format's documents call it. */
  readonly name: string
  readonly offset: number
  /** `entries * entryBytes`. */
  readonly bytes: number
}

/**
 * The one check before a table of an image is allocated: numbers that make sense, a length within bounds, a place
 * within the file.
 *
 * @throws BlockError `corrupt` naming the table and what is wrong with it
 * @public
 */
export function checkedTable(name: string, claim: TableClaim): CheckedTable {
  const { offset, entries, entryBytes, maxBytes, fileSize, alignment = 1 } = claim
  if (!Number.isSafeInteger(offset) || offset < 0) throw wrong(name, 'offset', `${name} has an invalid offset (${offset})`)
  if (offset % alignment !== 0) throw wrong(name, 'offset', `${name} is not aligned to ${alignment} bytes (offset ${offset})`)
  const bytes = entries * entryBytes
  if (!Number.isSafeInteger(entries) || entries < 0 || !Number.isSafeInteger(bytes)) {
    throw wrong(name, 'entries', `${name} has an invalid number of entries (${entries})`)
  }
  if (bytes > maxBytes) throw wrong(name, 'entries', `${name} is too large (${bytes} bytes, at most ${maxBytes})`)
  if (bytes > 0 && offset + bytes > fileSize) {
    throw wrong(name, 'offset', `${name} lies outside the file (offset ${offset}, ${bytes} bytes, file size ${fileSize})`)
  }
  return { name, offset, bytes }
}

function wrong(table: string, field: string, message: string): BlockError {
  return new BlockError('corrupt', message, { detail: { table, field } })
}
