import type { ChildHandle } from '@blockloom/block-driver'
import { decodeHeaderArea, type DecodedHeaderArea } from './on-disk/header-area.ts'
import { readClusterSize } from './on-disk/header-decode.ts'

/** The first read: the fixed header, and extensions of usual length. */
const FIRST_READ = 4096

/**
 * Reads and decodes the first cluster of an image.
 *
 * @param forCheck - accepts what a check reports or repairs
 * @throws BlockError that names the field
 * @internal
 */
export async function readHeaderArea(file: ChildHandle, forCheck: boolean): Promise<DecodedHeaderArea> {
  const first = new Uint8Array(FIRST_READ)
  await file.read(0, first)
  const clusterSize = readClusterSize(first)
  const cluster = clusterSize <= FIRST_READ ? first.subarray(0, clusterSize) : new Uint8Array(clusterSize)
  if (clusterSize > FIRST_READ) await file.read(0, cluster)
  return decodeHeaderArea(cluster, { purpose: forCheck ? 'check' : 'open' })
}
