import { readFileSync } from 'node:fs'
import { resolveSecretSync, type SecretDefinition } from '@blockloom/block-crypto'
import { BlockError, isBlockError } from '@blockloom/block-driver'
import { Answer, Failure } from '../failure.ts'
import { strerror } from '../output/strerror.ts'
import { parseKeyValues } from './keyval.ts'

/** Properties of a secret, all text, in the order of the reference's help. */
const PROPERTIES = ['data', 'file', 'format', 'iv', 'keyid'] as const

const FORMATS: readonly string[] = ['raw', 'base64']

const ID = /^[A-Za-z][A-Za-z0-9\-._]*$/

const ID_HINT = "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.\n"

/**
 * The secrets of a command line: `--object secret,id=sec0,data=...`. The only kind of object there is.
 *
 * As in the reference, one that is encrypted names a secret in front of it (`keyid`), and files are read at once, each
 * only one time: they may be pipes.
 *
 * @internal
 */
export class SecretObjects {
  readonly #secrets = new Map<string, Uint8Array>()
  readonly #exitCode: number

  /** @param exitCode - of failures */
  constructor(exitCode = 1) {
    this.#exitCode = exitCode
  }

  /**
   * Takes the argument of one `--object`: a list of properties, or JSON.
   *
   * @throws Failure in the reference's words; Answer for `help`
   */
  add(text: string): void {
    try {
      this.#add(text)
    } catch (error) {
      if (error instanceof Failure) throw new Failure(error.message, { hint: error.hint, cause: error.cause, exitCode: this.#exitCode })
      throw isBlockError(error) ? new Failure(error.message, { cause: error, exitCode: this.#exitCode }) : error
    }
  }

  #add(text: string): void {
    const properties = text.startsWith('{') ? fromJson(text) : fromList(text)
    const definition = checked(properties)
    const { id } = definition
    if (this.#secrets.has(id)) throw new Failure(`attempt to add duplicate property '${id}' to object (type 'container')`)
    const others = new Map([...this.#secrets].map(([other, bytes]) => [other, resolved(other, bytes)]))
    this.#secrets.set(id, resolveSecretSync(definition, others, readSecret))
  }

  /** As `secrets` of {@link openImage} and {@link createImage}; later objects are found too. */
  secrets(): (id: string) => Uint8Array {
    return (id) => {
      const secret = this.#secrets.get(id)
      if (secret === undefined) throw new BlockError('not-found', `No secret with id '${id}'`, { errno: 'EINVAL', detail: { secret: id } })
      return secret
    }
  }
}

/** A secret whose bytes are known, as one that others can be encrypted with. */
function resolved(id: string, bytes: Uint8Array): SecretDefinition {
  return { id, format: 'base64', data: Buffer.from(bytes).toString('base64') }
}

function readSecret(file: string): Uint8Array {
  try {
    return readFileSync(file)
  } catch (cause) {
    const { code = 'EIO' } = cause as NodeJS.ErrnoException
    const what = code === 'EISDIR' ? 'Error reading' : 'Failed to open'
    throw new Error(`${what} file “${file}”: ${strerror(code)}`, { cause })
  }
}

/** Checks names and values, in the order in which the reference does. */
function checked(properties: ReadonlyMap<string, unknown>): SecretDefinition {
  const kind = properties.get('qom-type')
  if (kind === undefined) throw new Failure("Parameter 'qom-type' is missing")
  if (textOf('qom-type', kind) !== 'secret') throw new Failure(`Parameter 'qom-type' does not accept value '${String(kind)}'`)
  if (!properties.has('id')) throw new Failure("Parameter 'id' is missing")
  const id = textOf('id', properties.get('id'))
  const values: Record<string, string> = {}
  for (const name of PROPERTIES) {
    if (properties.has(name)) values[name] = textOf(name, properties.get(name))
  }
  const { format } = values
  if (format !== undefined && !FORMATS.includes(format)) throw new Failure(`Parameter 'format' does not accept value '${format}'`)
  for (const name of properties.keys()) {
    if (name === 'qom-type' || name === 'id' || (PROPERTIES as readonly string[]).includes(name)) continue
    const dot = name.indexOf('.')
    throw new Failure(dot > 0 ? `Parameters '${name.slice(0, dot)}.*' are unexpected` : `Parameter '${name}' is unexpected`)
  }
  if (!ID.test(id)) throw new Failure("Parameter 'id' expects an identifier", { hint: ID_HINT })
  return { ...(values as Omit<SecretDefinition, 'id'>), id }
}

function textOf(name: string, value: unknown): string {
  if (typeof value === 'string') return value
  throw new Failure(`Invalid parameter type for '${name}', expected: string`)
}

function fromJson(text: string): ReadonlyMap<string, unknown> {
  try {
    return new Map(Object.entries(JSON.parse(text) as Record<string, unknown>))
  } catch (cause) {
    throw new Failure(`JSON parse error, ${(cause as Error).message}`, { cause })
  }
}

/** `secret,id=sec0,...`: the kind need not be named as such, everything else must. */
function fromList(text: string): ReadonlyMap<string, string> {
  const properties = new Map<string, string>()
  for (const [index, { name, value, short }] of parseKeyValues(text).entries()) {
    const word = short && value === 'off' ? `no${name}` : name
    if (short && (word === 'help' || word === '?')) throw new Answer(help(properties.get('qom-type')))
    if (short && index > 0) throw new Failure(`Expected '=' after parameter '${word}'`)
    if (!short && name === '') throw new Failure("Invalid parameter ''")
    if (short) properties.set('qom-type', word)
    else properties.set(name, value)
  }
  return properties
}

function help(kind: string | undefined): string {
  if (kind !== 'secret') return 'List of user creatable objects:\n  secret\n'
  return `secret options:\n${PROPERTIES.map((name) => `  ${name}=<${name === 'format' ? 'QCryptoSecretFormat' : 'string'}>\n`).join('')}`
}
