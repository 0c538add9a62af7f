import { BlockError } from '../block-error.ts'
import { MAX_IMAGE_SIZE } from '../limits.ts'
import type { OptionField, OptionsSchema } from './field.ts'
import { parseSize } from './size.ts'

/** @public */
export interface ParseOptions {
  /** Prefix for names in messages, for example `file.`. */
  readonly prefix?: string
  /** Names that are someone else's: they are left alone. */
  readonly ignore?: ReadonlySet<string>
  /** Message for a name that is not in the schema, with dots if it is a member. Default: `Invalid parameter 'x'`. */
  readonly unknown?: (name: string) => string
}

const SIZE_HINT = 'Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\nand exabytes, respectively.'

/**
 * Validates values from anywhere (code, JSON, a command line) against a schema and fills in defaults.
 * Strings are accepted for every type, in the reference's spelling: `on`/`off`, `64k`.
 *
 * @returns a new frozen object with exactly the schema's names; absent optional ones are left out
 * @throws BlockError `invalid` naming the option
 * @public
 */
export function parseOptions(schema: OptionsSchema, values: Readonly<Record<string, unknown>>, how: ParseOptions = {}): Readonly<Record<string, unknown>> {
  const prefix = how.prefix ?? ''
  const nested = nest(schema, values)
  for (const name of Object.keys(nested)) {
    if (Object.hasOwn(schema, name) || how.ignore?.has(name)) continue
    throw invalid(prefix + name, how.unknown?.(name) ?? `Invalid parameter '${prefix}${name}'`)
  }
  const out: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(schema)) {
    const raw = nested[name]
    if (raw === undefined) {
      if (field.presence === 'required') throw invalid(prefix + name, `Parameter '${prefix}${name}' is missing`)
      if (field.default !== undefined) out[name] = field.default
    } else {
      out[name] = parseField(field, raw, prefix + name, (member) => how.unknown?.(`${name}.${member}`))
    }
  }
  return Object.freeze(out)
}

/** Gathers `encrypt.format=x` under `encrypt`, for fields that are objects, and puts plain values where their shorthand says. */
function nest(schema: OptionsSchema, values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(values)) {
    const dot = name.indexOf('.')
    const head = dot > 0 ? name.slice(0, dot) : name
    const field = Object.hasOwn(schema, head) ? schema[head]! : undefined
    if (field?.type === 'object') out[head] = join(head, out[head], dot > 0 ? { [name.slice(dot + 1)]: value } : membersOf(field, value), name)
    else out[name] = value
  }
  return out
}

function membersOf({ shorthand }: OptionField, value: unknown): unknown {
  return shorthand === undefined || value === undefined || value === null || typeof value === 'object' ? value : { [shorthand]: value }
}

/** Joins what was given for one object in several places. */
function join(head: string, before: unknown, more: unknown, name: string): unknown {
  if (before === undefined) return more
  if (more === undefined) return before
  if (!isRecord(before) || !isRecord(more)) throw invalid(head, `Cannot mix '${head}' with '${isRecord(before) ? Object.keys(before).map((member) => `${head}.${member}`)[0] : name}'`)
  for (const [member, value] of Object.entries(more)) {
    if (!Object.hasOwn(before, member) || before[member] === value) continue
    throw invalid(`${head}.${member}`, `Conflicting values for option '${head}.${member}' ('${String(before[member])}' and '${String(value)}')`)
  }
  return { ...before, ...more }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function parseField(field: OptionField, raw: unknown, name: string, unknown: (member: string) => string | undefined): unknown {
  switch (field.type) {
    case 'string':
      if (typeof raw !== 'string') throw expects(name, 'a string')
      return raw
    case 'boolean':
      if (raw === true || raw === 'on' || raw === 'yes' || raw === 'true' || raw === 'y') return true
      if (raw === false || raw === 'off' || raw === 'no' || raw === 'false' || raw === 'n') return false
      throw expects(name, "'on' or 'off'")
    case 'choice':
      if (typeof raw === 'string' && field.choices!.includes(raw)) return raw
      throw invalid(name, `Parameter '${name}' does not accept value '${String(raw)}'`)
    case 'size':
      return bounded(field, name, sizeOf(raw, name), MAX_IMAGE_SIZE)
    case 'integer': {
      const value = typeof raw === 'string' && /^[+-]?(\d+|0x[0-9a-f]+)$/i.test(raw.trim()) ? Number(raw) : raw
      if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw expects(name, 'a number')
      return bounded(field, name, value, Number.MAX_SAFE_INTEGER)
    }
    case 'number': {
      const value = typeof raw === 'string' && raw.trim() !== '' ? Number(raw) : raw
      if (typeof value !== 'number' || !Number.isFinite(value)) throw expects(name, 'a number')
      return bounded(field, name, value, Infinity)
    }
    case 'object':
      if (!isRecord(raw)) throw expects(name, 'an object')
      return parseOptions(field.fields!, raw, { prefix: `${name}.`, unknown: (member) => unknown(member) ?? `Invalid parameter '${name}.${member}'` })
  }
}

function sizeOf(raw: unknown, name: string): number {
  if (typeof raw === 'bigint' && raw >= 0n && raw <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(raw)
  const value = typeof raw === 'string' ? parseSize(raw) : raw
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw new BlockError('invalid', `Parameter '${name}' expects a non-negative number below 2^64\n${SIZE_HINT}`, { detail: { option: name } })
}

function bounded(field: OptionField, name: string, value: number, most: number): number {
  const min = field.min ?? -Infinity
  const max = Math.min(field.max ?? most, most)
  if (value < min || value > max) {
    const range = min === -Infinity ? `at most ${max}` : `between ${min} and ${max}`
    throw invalid(name, `Parameter '${name}' must be ${range}, not ${value}`)
  }
  return value
}

function expects(name: string, what: string): BlockError {
  return invalid(name, `Parameter '${name}' expects ${what}`)
}

function invalid(name: string, message: string): BlockError {
  return new BlockError('invalid', message, { detail: { option: name } })
}
