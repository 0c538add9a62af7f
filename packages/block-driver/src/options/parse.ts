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
  /** Message for a name that is not in the schema. Default: `Invalid parameter 'x'`. */
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
      out[name] = parseField(field, raw, prefix + name)
    }
  }
  return Object.freeze(out)
}

/** Gathers `encrypt.format=x` under `encrypt`, for fields that are objects. */
function nest(schema: OptionsSchema, values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(values)) {
    const dot = name.indexOf('.')
    const head = dot > 0 ? name.slice(0, dot) : name
    if (dot > 0 && Object.hasOwn(schema, head) && schema[head]!.type === 'object') {
      const inner = out[head]
      if (inner !== undefined && (typeof inner !== 'object' || inner === null)) throw invalid(head, `Cannot mix '${head}' with '${name}'`)
      out[head] = { ...(inner as object | undefined), [name.slice(dot + 1)]: value }
    } else {
      out[name] = value
    }
  }
  return out
}

function parseField(field: OptionField, raw: unknown, name: string): unknown {
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
      if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) throw expects(name, 'an object')
      return parseOptions(field.fields!, raw as Record<string, unknown>, { prefix: `${name}.` })
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
