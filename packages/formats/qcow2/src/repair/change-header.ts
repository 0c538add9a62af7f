import type { ChildHandle } from '@blockloom/block-driver'
import type { DecodedHeaderArea } from '../on-disk/header-area.ts'
import { encodeHeader } from '../on-disk/header-encode.ts'
import type { Header } from '../on-disk/header.ts'
import { createGeometry } from '../units.ts'

/**
 * Writes header fields, all in the first sector, and flushes. What has to be stable before is flushed by the caller.
 *
 * @returns the header area as it is now
 * @internal
 */
export async function changeHeader(file: ChildHandle, area: DecodedHeaderArea, [from, to]: readonly [number, number], change: Partial<Header>): Promise<DecodedHeaderArea> {
  const header: Header = { ...area.header, ...change }
  await file.write(from, encodeHeader(header).slice(from, to))
  await file.flush('stable')
  const { clusterBits, refcountOrder, features } = header
  return { ...area, header, geometry: createGeometry({ clusterBits, refcountOrder, extendedL2: features.extendedL2 }) }
}
