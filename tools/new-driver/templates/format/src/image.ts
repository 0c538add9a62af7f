import type { ChildHandle, Instance } from '@blockloom/block-driver'
import { limits } from '@blockloom/block-driver'
import { decodeHeader, HEADER_SIZE } from './on-disk/header.ts'

/** Reads the header and shows the bytes behind it. @internal */
export async function acmeImage(file: ChildHandle, readOnly: boolean): Promise<Instance<object>> {
  const header = new Uint8Array(HEADER_SIZE)
  await file.read(0, header)
  const size = decodeHeader(header, await file.size())

  const shown: Instance<object> = {
    limits: limits(),
    size: () => size,
    read: (offset, into, flags) => file.read(HEADER_SIZE + offset, into, flags),
    extents: async (offset, bytes) => ({ kind: 'data', bytes, host: { child: file, offset: HEADER_SIZE + offset } }),
    close: async () => {},
  }
  if (readOnly) return shown
  return {
    ...shown,
    writer: {
      write: (offset, from, flags) => file.write(HEADER_SIZE + offset, from, flags),
      flush: (scope) => file.flush(scope),
    },
  }
}
