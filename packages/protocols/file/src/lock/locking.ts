import { BlockError } from '@blockloom/block-driver'
import type { Libc } from '../native/libc.ts'
import { ImageLock } from './image-lock.ts'

/**
 * The image lock of a descriptor, or `null` for none.
 *
 * @throws BlockError `unsupported` if the option is `on` and the host has no such locks
 * @internal
 */
export function lockFor(locking: 'on' | 'off' | 'auto', libc: Libc | null, fd: number, filename: string): ImageLock | null {
  if (locking === 'off') return null
  if (libc !== null && ImageLock.works(libc, fd)) return new ImageLock(libc, fd, filename)
  if (locking === 'auto') return null
  const reason = libc === null ? 'Image locks need Linux and the package koffi' : 'The file system has no locks of open file descriptions'
  throw new BlockError('unsupported', `Could not lock '${filename}': ${reason}`, { detail: { option: 'locking', filename } })
}
