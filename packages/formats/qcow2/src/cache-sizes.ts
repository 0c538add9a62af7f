import { BlockError } from '@blockloom/block-driver'
import type { Qcow2Options } from './options.ts'
import type { Geometry } from './units.ts'

const MIB = 1024 * 1024
const DEFAULT_MAX_L2_BYTES = 32 * MIB
const DEFAULT_MAX_ENTRY_BYTES = 65536

/** Sizes of the two metadata caches in bytes. @internal */
export interface CacheSizes {
  readonly l2Bytes: number
  readonly l2EntryBytes: number
  readonly refcountBytes: number
  readonly refcountEntryBytes: number
}

/**
 * Works out the cache sizes from the options.
 *
 * By default the L2 cache may hold all L2 tables of a disk up to 256 GiB with 64 KiB clusters; memory follows use.
 *
 * @throws BlockError `invalid` that names the option
 * @internal
 */
export function cacheSizes(options: Qcow2Options, geometry: Geometry, diskSize: number): CacheSizes {
  const { clusterSize } = geometry
  const combined = options['cache-size']
  const l2 = options['l2-cache-size']
  const refcount = options['refcount-cache-size']
  if (combined !== undefined) {
    if (l2 !== undefined && refcount !== undefined) {
      throw invalid('cache-size', 'cache-size, l2-cache-size and refcount-cache-size may not be set at the same time')
    }
    if (l2 !== undefined && l2 > combined) throw invalid('l2-cache-size', 'l2-cache-size may not exceed cache-size')
    if (refcount !== undefined && refcount > combined) throw invalid('refcount-cache-size', 'refcount-cache-size may not exceed cache-size')
  }
  const entry = options['l2-cache-entry-size'] ?? Math.min(clusterSize, DEFAULT_MAX_ENTRY_BYTES)
  if (entry < 512 || entry > clusterSize || !Number.isInteger(Math.log2(entry))) {
    throw invalid('l2-cache-entry-size', `L2 cache entry size must be a power of two between 512 and the cluster size (${clusterSize})`)
  }
  const refcountEntryBytes = Math.min(clusterSize, DEFAULT_MAX_ENTRY_BYTES)
  let l2Bytes = l2 ?? DEFAULT_MAX_L2_BYTES
  let refcountBytes = refcount ?? Math.max(4 * clusterSize, MIB)
  if (combined !== undefined) {
    if (l2 !== undefined) refcountBytes = combined - l2
    else if (refcount !== undefined) l2Bytes = combined - refcount
    else {
      // As the reference: the L2 cache gets what the whole disk needs, if that leaves the refcounts their minimum.
      const needed = Math.ceil(diskSize / geometry.l2Coverage) * clusterSize
      l2Bytes = Math.min(needed, Math.max(combined - 4 * refcountEntryBytes, Math.floor((combined * 3) / 4)))
      refcountBytes = combined - l2Bytes
    }
  }
  // The reference counts entries in 31 bits.
  if (refcountBytes / clusterSize > 0x7fff_ffff) throw invalid(refcount === undefined ? 'cache-size' : 'refcount-cache-size', 'Refcount cache size too big')
  return { l2Bytes, l2EntryBytes: entry, refcountBytes, refcountEntryBytes }
}

function invalid(name: string, message: string): BlockError {
  return new BlockError('invalid', message, { detail: { option: name } })
}
