import type { CreateContext, OptionsOf } from '@blockloom/block-driver'
import { Permission } from '@blockloom/block-driver'
import { checkFilename } from './filename.ts'
import { HostFile } from './host-file.ts'
import { heldFor } from './lock/image-lock.ts'
import { lockFor } from './lock/locking.ts'
import type { Libc } from './native/libc.ts'
import { openDescriptor } from './open.ts'
import type { fileCreateOptions } from './options.ts'
import { resizeFile } from './space/resize.ts'

/**
 * Makes a file of a size, or empties one that nobody uses and gives it that size.
 *
 * @internal
 */
export async function createFile({ options, clock, signal }: CreateContext<OptionsOf<typeof fileCreateOptions>>, libc: Libc | null): Promise<void> {
  const { filename, size, preallocation } = options
  checkFilename(filename)
  signal?.throwIfAborted()
  const descriptor = await openDescriptor(filename, { readOnly: false, direct: false, create: true })
  const file = new HostFile(filename, descriptor, libc, clock)
  try {
    // Before it is emptied: it may be somebody's.
    lockFor('auto', libc, file.fd, filename)?.add(heldFor(Permission.WRITE | Permission.RESIZE, Permission.ALL & ~Permission.RESIZE))
    await file.truncate(0)
    await resizeFile(file, size, preallocation, signal)
  } finally {
    await file.close()
  }
}
