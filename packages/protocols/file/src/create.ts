import type { CreateContext, OptionsOf } from '@blockloom/block-driver'
import { BlockError, Permission } from '@blockloom/block-driver'
import { checkFilename } from './filename.ts'
import { HostFile } from './host-file.ts'
import { heldFor } from './lock/image-lock.ts'
import { lockFor } from './lock/locking.ts'
import type { Libc } from './native/libc.ts'
import { openDescriptor } from './open.ts'
import type { fileCreateOptions } from './options.ts'
import { setExtentSizeHint, turnOffCopyOnWrite } from './space/inode-flags.ts'
import { resizeFile } from './space/resize.ts'

/**
 * Makes a file of a size, or empties one that nobody uses and gives it that size.
 *
 * @internal
 */
export async function createFile({ options, clock, signal, warn }: CreateContext<OptionsOf<typeof fileCreateOptions>>, libc: Libc | null): Promise<void> {
  const { filename, size, preallocation, nocow, extent_size_hint: hint } = options
  checkFilename(filename)
  if (hint !== undefined && hint > 0xffff_ffff) throw new BlockError('invalid', 'Extent size hint is too large', { detail: { option: 'extent_size_hint' } })
  signal?.throwIfAborted()
  const descriptor = await openDescriptor(filename, { readOnly: false, direct: false, create: true })
  const file = new HostFile(filename, descriptor, libc, clock)
  try {
    // Before it is emptied: it may be somebody's.
    lockFor('auto', libc, file.fd, filename)?.add(heldFor(Permission.WRITE | Permission.RESIZE, Permission.ALL & ~Permission.RESIZE))
    await file.truncate(0)
    // Both have an effect on empty files only.
    if (nocow) turnOffCopyOnWrite(file, warn)
    setExtentSizeHint(file, hint, warn)
    await resizeFile(file, size, preallocation, signal)
  } finally {
    await file.close()
  }
}
