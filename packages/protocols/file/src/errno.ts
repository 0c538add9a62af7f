import type { BlockErrorCode, BlockErrorDetail } from '@blockloom/block-driver'
import { BlockError } from '@blockloom/block-driver'

// Loaded for errors only: that loads half a dozen other modules.
const util = (): typeof import('node:util') => process.getBuiltinModule('node:util')

interface Meaning {
  readonly code: BlockErrorCode
  /** The words of strerror(3) in glibc, which the reference tools print. */
  readonly text: string
}

/** What the host's error names mean to the block layer; those that are not here are `io`. @internal */
export const MEANINGS: Readonly<Record<string, Meaning>> = {
  EACCES: { code: 'denied', text: 'Permission denied' },
  EAGAIN: { code: 'busy', text: 'Resource temporarily unavailable' },
  EBADF: { code: 'closed', text: 'Bad file descriptor' },
  EBUSY: { code: 'busy', text: 'Device or resource busy' },
  EDQUOT: { code: 'no-space', text: 'Disk quota exceeded' },
  EEXIST: { code: 'exists', text: 'File exists' },
  EFBIG: { code: 'range', text: 'File too large' },
  EINVAL: { code: 'invalid', text: 'Invalid argument' },
  EIO: { code: 'io', text: 'Input/output error' },
  EISDIR: { code: 'invalid', text: 'Is a directory' },
  ELOOP: { code: 'invalid', text: 'Too many levels of symbolic links' },
  EMFILE: { code: 'io', text: 'Too many open files' },
  ENAMETOOLONG: { code: 'invalid', text: 'File name too long' },
  ENFILE: { code: 'io', text: 'Too many open files in system' },
  ENODEV: { code: 'not-found', text: 'No such device' },
  ENOENT: { code: 'not-found', text: 'No such file or directory' },
  ENOLCK: { code: 'unsupported', text: 'No locks available' },
  ENOMEDIUM: { code: 'no-medium', text: 'No medium found' },
  ENOMEM: { code: 'io', text: 'Cannot allocate memory' },
  ENOSPC: { code: 'no-space', text: 'No space left on device' },
  ENOSYS: { code: 'unsupported', text: 'Function not implemented' },
  ENOTDIR: { code: 'not-found', text: 'Not a directory' },
  ENOTTY: { code: 'unsupported', text: 'Inappropriate ioctl for device' },
  ENOTSUP: { code: 'unsupported', text: 'Operation not supported' },
  ENXIO: { code: 'not-found', text: 'No such device or address' },
  EOPNOTSUPP: { code: 'unsupported', text: 'Operation not supported' },
  EPERM: { code: 'denied', text: 'Operation not permitted' },
  EROFS: { code: 'read-only', text: 'Read-only file system' },
  ESTALE: { code: 'io', text: 'Stale file handle' },
  ETXTBSY: { code: 'busy', text: 'Text file busy' },
}

/**
 * The BlockError for what a call of the host's reported.
 *
 * @param what - what could not be done, for example `Could not open 'x'`; the host's reason is appended
 * @internal
 */
export function hostError(cause: unknown, what: string, detail: BlockErrorDetail = {}): BlockError {
  const name = errnoOf(cause)
  const meaning = name === undefined ? undefined : MEANINGS[name]
  const text = meaning?.text ?? unknownText(cause)
  return new BlockError(meaning?.code ?? 'io', `${what}: ${text}`, { errno: name ?? 'EIO', cause, detail })
}

/** The POSIX name in an error of `node:fs`, if there is one. @internal */
export function errnoOf(cause: unknown): string | undefined {
  const code = (cause as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined
}

/** An error as `node:fs` makes them, for a call that gave an errno. @internal */
export function systemError(syscall: string, errno: number): Error {
  const code = util().getSystemErrorName(-errno)
  return Object.assign(new Error(`${code}: ${syscall}`), { code, errno: -errno, syscall })
}

function unknownText(cause: unknown): string {
  const errno = (cause as { errno?: unknown } | null | undefined)?.errno
  if (typeof errno === 'number') return util().getSystemErrorMessage(errno)
  return cause instanceof Error ? cause.message : MEANINGS['EIO']!.text
}
