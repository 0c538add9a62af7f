import { BlockError, type ChildHandle } from '@blockloom/block-driver'
import type { Qcow2Image } from './image.ts'
import type { DecodedHeaderArea } from './on-disk/header-area.ts'
import { encodeHeader } from './on-disk/header-encode.ts'
import type { HEADER_FIELDS, Header } from './on-disk/header.ts'

/** A group of header fields that are written together. @internal */
export type HeaderFields = (typeof HEADER_FIELDS)[keyof typeof HEADER_FIELDS]

/**
 * Changes header fields on disk, then in memory, and flushes: what comes later may rely on it.
 *
 * What has to be stable before is flushed by the caller. After a failure the fields are the old ones, in memory and on
 * disk; if they cannot be put back, nothing is changed any more through this instance, because it is not known what is on
 * disk. Changes of the header wait for each other; what depends on the header as it is when it is this one's turn is a
 * function.
 *
 * @internal
 */
export async function updateHeader(
  image: { area: DecodedHeaderArea } & Pick<Qcow2Image, 'file' | 'headerTurn' | 'corruption'>,
  fields: HeaderFields,
  change: Partial<Header> | ((header: Header) => Partial<Header>),
): Promise<void> {
  using _turn = image.headerTurn.tryAcquire() ?? (await image.headerTurn.acquire())
  const old = image.area.header
  const header: Header = { ...old, ...(typeof change === 'function' ? change(old) : change) }
  try {
    await writeFields(image.file, fields, header)
  } catch (error) {
    // They may be on disk or not. What is in memory must be what is there.
    await writeFields(image.file, fields, old).catch(() => {
      image.corruption.first ??= new BlockError('io', 'The header could not be written; the image must be closed before it can be changed', { cause: error })
    })
    throw error
  }
  image.area = { ...image.area, header }
}

async function writeFields(file: ChildHandle, [from, to]: HeaderFields, header: Header): Promise<void> {
  await file.write(from, encodeHeader(header).slice(from, to))
  await file.flush('stable')
}
