import { BlockError } from '@blockloom/block-driver'

/**
 * A secret that is used as a passphrase must be text: UTF-8 without NUL.
 *
 * @returns the bytes as they are
 * @throws BlockError `invalid` naming the secret
 * @public
 */
export function checkPassphrase(id: string, secret: Uint8Array): Uint8Array {
  const wrong = (cause?: unknown): BlockError => new BlockError('invalid', `Data from secret ${id} is not valid UTF-8`, { cause, detail: { id } })
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(secret)
  } catch (cause) {
    throw wrong(cause)
  }
  if (secret.includes(0)) throw wrong()
  return secret
}
