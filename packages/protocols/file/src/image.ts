import type { Instance, OptionsOf } from '@blockloom/block-driver'
import { RequestFlag } from '@blockloom/block-driver'
import { plainFilename } from './filename.ts'
import type { HostFile } from './host-file.ts'
import { LockedPermissions } from './lock/permissions.ts'
import type { ImageLock } from './lock/image-lock.ts'
import type { fileOptions } from './options.ts'
import { reopenFile } from './reopen.ts'
import { fileExtent } from './space/extents.ts'
import { Fallocate } from './space/fallocate.ts'
import { PREALLOCATIONS, resizeFile } from './space/resize.ts'
import { discardFile, zeroFile } from './space/zero.ts'

type FileOptions = OptionsOf<typeof fileOptions>

const HONOURED = RequestFlag.MAY_UNMAP | RequestFlag.NO_FALLBACK | RequestFlag.WRITE_UNCHANGED
/** `blocks` of stat(2) counts these, whatever the file system's block size is. */
const STAT_BLOCK = 512

/** One opened file as the graph sees it; what the host cannot do is absent. @internal */
export function fileImage(file: HostFile, lock: ImageLock | null): Instance<FileOptions> {
  const permissions = new LockedPermissions(lock)
  const { libc } = file
  const shown: Instance<FileOptions> = {
    get limits() {
      return file.limits
    },
    size: () => file.size,
    read: (offset, into) => file.read(offset, into),
    close: () => file.close(),
    allocatedSize: async () => (await file.stat()).blocks * STAT_BLOCK,
    zeroInit: true,
    filename: plainFilename(file.path),
    invalidate: () => file.refresh(),
    reopen: (next) => reopenFile(file, permissions, next),
    aioContext: {
      detach: () => undefined,
      attach: (clock) => file.attach(clock),
    },
  }
  const changing: Partial<Instance<FileOptions>> = {
    writer: {
      honours: HONOURED,
      write: (offset, from) => file.write(offset, from),
      flush: (scope) => file.flush(scope),
    },
    resize: {
      preallocations: PREALLOCATIONS,
      resize: (size, { preallocation }) => resizeFile(file, size, preallocation),
    },
  }
  const fallocate = new Fallocate(file)
  const native: Partial<Instance<FileOptions>> = {
    permissions,
    extents: (offset, bytes) => fileExtent(file, offset, bytes),
  }
  const nativeChanging: Partial<Instance<FileOptions>> = {
    zero: (offset, bytes, flags) => zeroFile(file, fallocate, offset, bytes, flags),
    discard: (offset, bytes) => discardFile(file, fallocate, offset, bytes),
  }
  // `limits` is a getter: assign to the one object that has it.
  return Object.assign(shown, libc && native, file.readOnly ? null : changing, libc && !file.readOnly ? nativeChanging : null)
}
