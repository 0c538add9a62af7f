import { BlockError } from '@blockloom/block-driver'
import { decodeBase64 } from './base64.ts'
import { decryptSecret } from './decrypt-secret.ts'

/** A secret as `--object secret,…` defines it; all values are text from outside. @public */
export interface SecretDefinition {
  readonly id: string
  /** The secret itself; exclusive with `file`. */
  readonly data?: string | undefined
  /** A file that holds it. A newline at its end counts. */
  readonly file?: string | undefined
  /** How it is written down; default `raw`. With `keyid`, how the encrypted bytes are. */
  readonly format?: 'raw' | 'base64' | undefined
  /** The secret that this one is encrypted with: 32 bytes, AES-256-CBC. */
  readonly keyid?: string | undefined
  /** The initialization vector for `keyid`: 16 bytes in base64. */
  readonly iv?: string | undefined
}

/** Reads a whole file for a secret's `file`. @public */
export type ReadSecretFile = (file: string) => Uint8Array | Promise<Uint8Array>

/**
 * The bytes of a secret.
 *
 * @param others - where `keyid` is looked up
 * @throws BlockError `invalid`, `not-found` for a `keyid` that `others` lacks; what `readFile` throws, as the `cause`
 * @public
 */
export function resolveSecret(definition: SecretDefinition, others: ReadonlyMap<string, SecretDefinition>, readFile: ReadSecretFile): Promise<Uint8Array> {
  return resolve(definition, others, readFile, [definition.id])
}

async function resolve(definition: SecretDefinition, others: ReadonlyMap<string, SecretDefinition>, readFile: ReadSecretFile, path: readonly string[]): Promise<Uint8Array> {
  const { format = 'raw', keyid, iv } = definition
  if (format !== 'raw' && format !== 'base64') {
    throw new BlockError('invalid', `Parameter 'format' does not accept value '${String(format)}'`, { detail: { option: 'format' } })
  }
  const written = await load(definition, readFile)
  const bytes = format === 'base64' ? decodeBase64(asText(written)) : written
  if (keyid === undefined) return bytes
  const keyDefinition = others.get(keyid)
  if (keyDefinition === undefined) throw new BlockError('not-found', `No secret with id '${keyid}'`, { detail: { option: 'keyid', id: keyid } })
  if (path.includes(keyid)) throw new BlockError('invalid', `Secrets are encrypted with each other: ${[...path, keyid].join(' -> ')}`, { detail: { option: 'keyid', id: keyid } })
  return decryptSecret(bytes, await resolve(keyDefinition, others, readFile, [...path, keyid]), iv)
}

async function load({ data, file }: SecretDefinition, readFile: ReadSecretFile): Promise<Uint8Array> {
  if (data !== undefined && file !== undefined) throw new BlockError('invalid', "'file' and 'data' are mutually exclusive")
  if (data !== undefined) return new TextEncoder().encode(data)
  if (file === undefined) throw new BlockError('invalid', "Either 'file' or 'data' must be provided")
  try {
    return await readFile(file)
  } catch (cause) {
    throw new BlockError('invalid', `Unable to read ${file}: ${cause instanceof Error ? cause.message : 'unknown error'}`, { cause, detail: { option: 'file', file } })
  }
}

function asText(bytes: Uint8Array): string {
  // Whatever is not ASCII becomes a character that base64 does not have.
  return new TextDecoder().decode(bytes)
}
