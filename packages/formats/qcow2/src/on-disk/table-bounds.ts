import { malformed } from './malformed.ts'
import { MAX_HOST_OFFSET } from './limits.ts'

/**
 * Checks where a table of the image lies before anything of it is read or allocated.
 *
 * After it, `entries * entrySize` is at most `maxBytes`, `offset` is a multiple of `clusterSize`, and sums with
 * `offset` are exact. Whether the table lies inside the file is for the caller to check. The wording is QEMU's:
 * "`name` too large" (EFBIG), "`name` offset invalid" (EINVAL).
 *
 * @param name - as in messages: "Active L1 table", "Reference count table", "Snapshot table"
 * @param field - the header field, for the error's detail
 * @internal
 */
export function validateTable(table: {
  readonly name: string
  readonly field: string
  readonly offset: number
  readonly entries: number
  readonly entrySize: number
  readonly maxBytes: number
  readonly clusterSize: number
}): void {
  if (table.entries > Math.floor(table.maxBytes / table.entrySize)) {
    throw malformed(table.field, `${table.name} too large`, 'EFBIG')
  }
  if (!(table.offset <= MAX_HOST_OFFSET) || table.offset % table.clusterSize !== 0) {
    throw malformed(table.field, `${table.name} offset invalid`)
  }
}
