/**
 * What went wrong, for control flow. Small and stable: a new reason becomes a `detail`, not a code.
 *
 * - `invalid`: an option or argument that can never work (EINVAL)
 * - `range`: an offset or length outside the image (EINVAL, EFBIG)
 * - `corrupt`: the image contradicts its own format (EINVAL, EIO)
 * - `unsupported`: valid, but this driver or host cannot do it (ENOTSUP)
 * - `read-only`: a write to something opened read-only (EPERM, EROFS, EACCES)
 * - `busy`: in use: locked by another process, or blocked by a job or a parent (EBUSY, EAGAIN)
 * - `not-found`, `exists`: a file, node, snapshot or bitmap (ENOENT, EEXIST)
 * - `no-space`: the host is full (ENOSPC, EDQUOT)
 * - `no-medium`: a removable device without a medium (ENOMEDIUM)
 * - `closed`: the object was used after close (EBADF)
 * - `denied`: refused by policy, such as the gate for files named inside an image (EACCES)
 * - `io`: everything else the host reports (EIO and others)
 *
 * @public
 */
export type BlockErrorCode =
  | 'invalid'
  | 'range'
  | 'corrupt'
  | 'unsupported'
  | 'read-only'
  | 'busy'
  | 'not-found'
  | 'exists'
  | 'no-space'
  | 'no-medium'
  | 'closed'
  | 'denied'
  | 'io'

const DEFAULT_ERRNO: Readonly<Record<BlockErrorCode, string>> = {
  invalid: 'EINVAL',
  range: 'EINVAL',
  corrupt: 'EINVAL',
  unsupported: 'ENOTSUP',
  'read-only': 'EPERM',
  busy: 'EBUSY',
  'not-found': 'ENOENT',
  exists: 'EEXIST',
  'no-space': 'ENOSPC',
  'no-medium': 'ENOMEDIUM',
  closed: 'EBADF',
  denied: 'EACCES',
  io: 'EIO',
}

/** Facts about an error that a program may want: the field, option, node, offset. JSON-cloneable. @public */
export type BlockErrorDetail = Readonly<Record<string, string | number | boolean | null | readonly string[]>>

/** What a {@link BlockError} is made of besides code and message. @public */
export interface BlockErrorInit {
  /** POSIX name, for example `ENOSPC`; each code has a default. */
  readonly errno?: string
  /** The error underneath, kept as it is. */
  readonly cause?: unknown
  readonly detail?: BlockErrorDetail
}

const BRAND = Symbol.for('blockloom.BlockError')

/**
 * The one error class of the block layer.
 *
 * `code` is for control flow, `errno` is the POSIX name (ENOSPC pauses a job, ENOTSUP makes the core fall
 * back), `message` is for a person and keeps the wording of the reference tools where users know it.
 * Test with {@link isBlockError}: a second copy of this package makes `instanceof` lie.
 *
 * @public
 */
export class BlockError extends Error {
  override readonly name = 'BlockError'
  readonly code: BlockErrorCode
  readonly errno: string
  readonly detail: BlockErrorDetail

  constructor(code: BlockErrorCode, message: string, init: BlockErrorInit = {}) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause })
    this.code = code
    this.errno = init.errno ?? DEFAULT_ERRNO[code]
    this.detail = init.detail ?? {}
    Object.defineProperty(this, BRAND, { value: true })
  }
}

/** True for a BlockError of any copy of this package; with `code`, only for that code. @public */
export function isBlockError(error: unknown, code?: BlockErrorCode): error is BlockError {
  if (typeof error !== 'object' || error === null || !(BRAND in error)) return false
  return code === undefined || (error as unknown as BlockError).code === code
}
