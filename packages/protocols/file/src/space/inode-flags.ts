import { MEANINGS, systemError } from '../errno.ts'
import type { HostFile } from '../host-file.ts'

// linux/fs.h, on all hosts that have a libc here. The flags are an int, whatever the request's size says.
const FS_IOC_GETFLAGS = 0x8008_6601
const FS_IOC_SETFLAGS = 0x4008_6602
const FS_NOCOW_FL = 0x0080_0000
/** struct fsxattr { __u32 fsx_xflags, fsx_extsize, fsx_nextents, fsx_projid, fsx_cowextsize; unsigned char fsx_pad[8]; } */
const FSXATTR_BYTES = 28
const FS_IOC_FSGETXATTR = 0x801c_581f
const FS_IOC_FSSETXATTR = 0x401c_5820
const FS_XFLAG_EXTSIZE = 0x0000_0800

/** Set unless somebody says otherwise, bytes: less fragmentation where the file system knows it. */
const DEFAULT_EXTENT_SIZE_HINT = 1024 * 1024

const CANNOT_CALL = 'this needs 64-bit Linux and the package koffi'

/**
 * Turns copy-on-write off for a file that is empty. File systems that know no such flag are left as they are, without a
 * word, as by the reference.
 *
 * @internal
 */
export function turnOffCopyOnWrite({ libc, fd }: HostFile, warn: (message: string) => void): void {
  if (libc === null) {
    warn(`Could not turn off copy-on-write: ${CANNOT_CALL}`)
    return
  }
  const flags = new Uint8Array(8)
  const view = new DataView(flags.buffer)
  if (libc.ioctl(fd, FS_IOC_GETFLAGS, flags) < 0) return
  view.setUint32(0, (view.getUint32(0, true) | FS_NOCOW_FL) >>> 0, true)
  libc.ioctl(fd, FS_IOC_SETFLAGS, flags)
}

/**
 * Says in what pieces the file system should allocate an empty file. It is told when a hint that was asked for is not
 * taken.
 *
 * @param wanted - bytes, below 2^32; 0: no hint; undefined: the default
 * @internal
 */
export function setExtentSizeHint({ libc, fd }: HostFile, wanted: number | undefined, warn: (message: string) => void): void {
  const complain = (what: string, reason: string): void => {
    if (wanted !== undefined && wanted !== 0) warn(`Failed to ${what} extent size hint: ${reason}`)
  }
  if (libc === null) return complain('set', CANNOT_CALL)
  const attributes = new Uint8Array(FSXATTR_BYTES)
  const view = new DataView(attributes.buffer)
  const got = libc.ioctl(fd, FS_IOC_FSGETXATTR, attributes)
  if (got < 0) return complain('get', reasonOf(got))
  view.setUint32(0, (view.getUint32(0, true) | FS_XFLAG_EXTSIZE) >>> 0, true)
  view.setUint32(4, wanted ?? DEFAULT_EXTENT_SIZE_HINT, true)
  const set = libc.ioctl(fd, FS_IOC_FSSETXATTR, attributes)
  if (set < 0) complain('set', reasonOf(set))
}

function reasonOf(result: number): string {
  const { code, message } = systemError('ioctl', -result) as NodeJS.ErrnoException
  return MEANINGS[code ?? '']?.text ?? message
}
