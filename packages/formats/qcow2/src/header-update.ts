import type { ChildHandle } from '@blockloom/block-driver'
import type { DecodedHeaderArea } from './on-disk/header-area.ts'
import { encodeHeader } from './on-disk/header-encode.ts'
import type { HEADER_FIELDS, Header } from './on-disk/header.ts'

/** A group of header fields that are written together. @internal */
export type HeaderFields = (typeof HEADER_FIELDS)[keyof typeof HEADER_FIELDS]

/**
 * Changes header fields on disk, then in memory, and flushes: what comes later may rely on it.
 *
 * What has to be stable before is flushed by the caller. After a failure the fields in memory are the old ones.
 *
 * @internal
 */
export async function updateHeader(
  image: { area: DecodedHeaderArea; readonly file: ChildHandle },
  fields: HeaderFields,
  change: Partial<Header>,
): Promise<void> {
  const header: Header = { ...image.area.header, ...change }
  const [from, to] = fields
  await image.file.write(from, encodeHeader(header).slice(from, to))
  await image.file.flush('stable')
  // Another group may have been updated meanwhile.
  image.area = { ...image.area, header: { ...image.area.header, ...change } }
}
