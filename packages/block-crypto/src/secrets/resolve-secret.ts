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
export async function resolveSecret(definition: SecretDefinition, others: ReadonlyMap<string, SecretDefinition>, readFile: ReadSecretFile): Promise<Uint8Array> {
  const contents = new Map<string, Uint8Array>()
  const seen = new Set<string>()
  for (let next: SecretDefinition | undefined = definition; next !== undefined && !seen.has(next.id); next = others.get(next.keyid ?? '')) {
    seen.add(next.id)
    const { data, file } = next
    if (data !== undefined || file === undefined) continue
    try {
      contents.set(file, await readFile(file))
    } catch (cause) {
      throw unreadable(file, cause)
    }
  }
  return resolveSecretSync(definition, others, (file) => contents.get(file)!)
}

/**
 * The same for files that can be read at once, such as those of a command line.
 *
 * @throws BlockError as {@link resolveSecret}
 * @public
 */
export function resolveSecretSync(definition: SecretDefinition, others: ReadonlyMap<string, SecretDefinition>, readFile: (file: string) => Uint8Array): Uint8Array {
  return resolve(definition, others, readFile, [definition.id])
}

function resolve(definition: SecretDefinition, others: ReadonlyMap<string, SecretDefinition>, readFile: (file: string) => Uint8Array, path: readonly string[]): Uint8Array {
  const { format = 'raw', keyid, iv } = definition
  if (format !== 'raw' && format !== 'base64') {
    throw new BlockError('invalid', `Parameter 'format' does not accept value '${String(format)}'`, { detail: { option: 'format' } })
  }
  const written = load(definition, readFile)
  const bytes = format === 'base64' ? decodeBase64(asText(written)) : written
  if (keyid === undefined) return bytes
  const keyDefinition = others.get(keyid)
  if (keyDefinition === undefined) throw new BlockError('not-found', `No secret with id '${keyid}'`, { detail: { option: 'keyid', id: keyid } })
  if (path.includes(keyid)) throw new BlockError('invalid', `Secrets are encrypted with each other: ${[...path, keyid].join(' -> ')}`, { detail: { option: 'keyid', id: keyid } })
  return decryptSecret(bytes, resolve(keyDefinition, others, readFile, [...path, keyid]), iv)
}

function load({ data, file }: SecretDefinition, readFile: (file: string) => Uint8Array): Uint8Array {
  if (data !== undefined && file !== undefined) throw new BlockError('invalid', "'file' and 'data' are mutually exclusive")
  if (data !== undefined) return new TextEncoder().encode(data)
  if (file === undefined) throw new BlockError('invalid', "Either 'file' or 'data' must be provided")
  try {
    return readFile(file)
  } catch (cause) {
    throw unreadable(file, cause)
  }
}

function unreadable(file: string, cause: unknown): BlockError {
  return new BlockError('invalid', `Unable to read ${file}: ${cause instanceof Error ? cause.message : 'unknown error'}`, { cause, detail: { option: 'file', file } })
}

function asText(bytes: Uint8Array): string {
  // Whatever is not ASCII becomes a character that base64 does not have.
  return new TextDecoder().decode(bytes)
}
