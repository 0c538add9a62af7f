import type { TableCache } from '@blockloom/driver-kit'

/** Calls `visit` with the offset of each cache entry that a table in one cluster has. @internal */
export function eachSlice(table: number, clusterSize: number, cache: TableCache, visit: (offset: number) => void): void {
  for (let at = 0; at < clusterSize; at += cache.entrySize) visit(table + at)
}
