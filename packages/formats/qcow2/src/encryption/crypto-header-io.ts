import type { LuksIo } from '@blockloom/block-crypto'
import { BlockError, type ChildHandle } from '@blockloom/block-driver'
import type { EncryptionPointer } from '../on-disk/header-extensions.ts'

/**
 * The part of the file that holds the encryption header. Nothing outside of it is read or written, whatever the LUKS
 * header in it says.
 *
 * @internal
 */
export function cryptoHeaderIo(file: ChildHandle, pointer: EncryptionPointer): LuksIo {
  const at = (offset: number, bytes: number): number => {
    if (offset + bytes <= pointer.length) return pointer.offset + offset
    throw new BlockError('corrupt', 'Request for data outside of extension header', { detail: { field: 'encryption header', offset } })
  }
  return {
    read: async (offset, into) => file.read(at(offset, into.length), into),
    write: async (offset, from) => file.write(at(offset, from.length), from),
    flush: () => file.flush('stable'),
  }
}
