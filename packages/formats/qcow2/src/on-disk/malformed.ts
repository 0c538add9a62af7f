import { BlockError } from '@blockloom/block-driver'

/** The error for a field that contradicts the format. `errno` is EINVAL unless given. @internal */
export function malformed(field: string, message: string, errno?: string): BlockError {
  return new BlockError('corrupt', message, { ...(errno === undefined ? {} : { errno }), detail: { field } })
}

/** The error for something valid that is not supported. @internal */
export function unsupported(field: string, message: string): BlockError {
  return new BlockError('unsupported', message, { detail: { field } })
}
