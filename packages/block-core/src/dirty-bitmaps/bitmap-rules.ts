import { BlockError, isBlockError } from '@blockloom/block-driver'

const MIN_GRANULARITY = 512
const MAX_GRANULARITY = 2 ** 31
/** Bytes of UTF-8; what image formats store, and the reference keeps (`BDRV_BITMAP_MAX_NAME_SIZE`). */
const MAX_NAME_BYTES = 1023

const SMALLEST_DEFAULT = 4096
const LARGEST_DEFAULT = 65536

/** What the reference takes when nobody says: the cluster size, 4 KiB to 64 KiB. @internal */
export function defaultGranularity(clusterSize: number): number {
  if (clusterSize === 0) return LARGEST_DEFAULT
  return Math.min(LARGEST_DEFAULT, Math.max(SMALLEST_DEFAULT, clusterSize))
}

/** @throws BlockError `invalid` unless it is a power of two, 512 to 2 GiB @internal */
export function checkGranularity(granularity: number): void {
  let power = MIN_GRANULARITY
  while (power < granularity && power < MAX_GRANULARITY) power *= 2
  if (power === granularity) return
  throw new BlockError('invalid', 'Granularity must be power of 2 and at least 512', { detail: { option: 'granularity' } })
}

/** @throws BlockError `invalid` for an empty name, or one that is no text @internal */
export function checkName(name: string): void {
  const detail = { option: 'name' }
  if (name === '') throw new BlockError('invalid', 'Bitmap name cannot be empty', { detail })
  // Half a surrogate pair has no UTF-8, so that the name would be another one once it is stored.
  if (!name.isWellFormed()) throw new BlockError('invalid', 'Bitmap name is not well-formed text', { detail })
}

/** @throws BlockError `invalid` @internal */
export function checkNameLength(name: string): void {
  if (new TextEncoder().encode(name).length <= MAX_NAME_BYTES) return
  throw new BlockError('invalid', `Bitmap name too long: ${name}`, { detail: { option: 'name' } })
}

/** @internal */
export function notFound(name: string): BlockError {
  return new BlockError('not-found', `Dirty bitmap '${name}' not found`, { detail: { bitmap: name } })
}

/** @internal */
export function alreadyExists(name: string): BlockError {
  return new BlockError('exists', `Bitmap already exists: ${name}`, { detail: { bitmap: name } })
}

/** @internal */
export function busy(name: string): BlockError {
  return new BlockError('busy', `Bitmap '${name}' is currently in use by another operation and cannot be used`, { detail: { bitmap: name } })
}

/** @internal */
export function readOnly(name: string): BlockError {
  return new BlockError('read-only', `Bitmap '${name}' is readonly and cannot be modified`, { detail: { bitmap: name } })
}

/** `hint` is what the reference adds on a line of its own. @internal */
export function inconsistent(name: string): BlockError {
  return new BlockError('corrupt', `Bitmap '${name}' is inconsistent and cannot be used`, {
    detail: { bitmap: name, hint: 'Try block-dirty-bitmap-remove to delete this bitmap from disk' },
  })
}

/** @internal */
export function notLoaded(name: string): BlockError {
  return new BlockError('invalid', `Bitmap '${name}' is not loaded`, { detail: { bitmap: name } })
}

/** @internal */
export function differentSizes(target: number, source: number): BlockError {
  return new BlockError('invalid', `Bitmaps are of different sizes (destination size is ${target}, source size is ${source}) and can't be merged`)
}

/** Says in front of an error what was being done; what is no BlockError stays as it is. @internal */
export function inContext(what: string, error: unknown): unknown {
  if (!isBlockError(error)) return error
  return new BlockError(error.code, `${what}: ${error.message}`, { errno: error.errno, detail: error.detail, cause: error })
}
