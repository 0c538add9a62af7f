import { BlockError, type BackingFacet, type BackingReference } from '@blockloom/block-driver'
import { exclusively } from './exclusive.ts'
import { rewriteHeaderArea } from './header-rewrite.ts'
import type { Qcow2Image } from './image.ts'
import { encodeName } from './on-disk/names.ts'
import { MAX_BACKING_FORMAT_BYTES, MAX_BACKING_NAME_BYTES } from './on-disk/limits.ts'
import type { Qcow2Writer } from './writer.ts'

/** The backing file that the header names; changed only where the image can be written. @internal */
export function backingFacet(image: Qcow2Image, writer: Qcow2Writer | null): BackingFacet {
  return {
    get named() {
      return namedBacking(image)
    },
    ...(writer === null ? {} : { change: (to) => changeBacking(writer, to) }),
  }
}

function namedBacking(image: Qcow2Image): BackingReference | null {
  const { backingFile, extensions } = image.area
  if (backingFile === null) return null
  return { filename: backingFile, ...(extensions.backingFormat === null ? {} : { format: extensions.backingFormat }) }
}

/**
 * Makes the header name another backing file, or none. No byte of the guest's is copied: what the image does not have
 * itself is what the new file has there. A crash leaves the old name or the new one.
 *
 * @throws BlockError, before anything is changed: `invalid` (EINVAL) for a name above 1023 bytes, and for an external data
 *   file that must hold all of the disk by itself; `no-space` (ENOSPC) if the name does not fit into the first cluster
 */
async function changeBacking(writer: Qcow2Writer, to: BackingReference | null): Promise<void> {
  const { image } = writer
  const named = to === null || to.filename === '' ? null : to
  const check = (): void => {
    if (named === null) return
    if (image.header.features.rawExternalData) {
      throw refused('Backing file and data-file-raw cannot be used at the same time', 'backing_file')
    }
    if (encodeName(named.filename).length > MAX_BACKING_NAME_BYTES) throw refused('Backing file name too long', 'backing_file')
    if (encodeName(named.format ?? '').length > MAX_BACKING_FORMAT_BYTES) throw refused('Backing file format name too long', 'backing_fmt')
  }
  const work = (): Promise<void> =>
    rewriteHeaderArea(image, (area) => ({
      ...area,
      backingFile: named === null ? null : named.filename,
      extensions: { ...area.extensions, backingFormat: named?.format ?? null },
    }))
  await exclusively(writer, work, check)
}

function refused(message: string, option: string): BlockError {
  return new BlockError('invalid', message, { detail: { option } })
}
