import type { AnyDriver, OptionsSchema } from '@blockloom/block-driver'
import { allDrivers } from 'blockloom'
import { Failure } from '../failure.ts'

/**
 * The driver that makes images of a format.
 *
 * @param context - what is printed in front of the message
 * @internal
 */
export function creationDriver(format: string, context = ''): AnyDriver {
  const drivers: readonly AnyDriver[] = allDrivers
  const driver = drivers.find(({ name }) => name === format)
  if (driver === undefined) throw new Failure(`${context}Unknown file format '${format}'`)
  if (driver.creation === undefined) throw new Failure(`${context}Format driver '${format}' does not support image creation`)
  return driver
}

/** True if images of this format can have a backing file. @internal */
export function hasBacking(driver: AnyDriver): boolean {
  return Object.hasOwn(driver.creation?.options ?? {}, 'backing_file')
}

/** The driver of the file that an image is made in. @internal */
export function targetProtocol(filename: string): AnyDriver {
  const drivers: readonly AnyDriver[] = allDrivers
  const prefix = /^[^/:]*:/.exec(filename)?.[0]
  const named = prefix === undefined ? undefined : drivers.find(({ prefixes }) => prefixes?.includes(prefix))
  return named ?? drivers.find(({ name }) => name === 'file')!
}

/** Options that a format only hands on: they count as its file's. */
const HANDED_ON: Readonly<Record<string, readonly string[]>> = { raw: ['preallocation'] }

/**
 * Options of a new image in the order of the reference: the format's, then those that only its file has.
 *
 * @param protocol - of the file; null: none is named
 * @internal
 */
export function creationOptions(driver: AnyDriver, protocol: AnyDriver | null): OptionsSchema {
  const handedOn = HANDED_ON[driver.name] ?? []
  const own = Object.entries(driver.creation?.options ?? {}).filter(([name]) => !handedOn.includes(name))
  const ofFile = protocol === null || driver.kind === 'protocol' ? [] : Object.entries(protocol.creation?.options ?? {})
  const taken = new Set([...own.map(([name]) => name), ...Object.keys(protocol?.options ?? {})])
  return Object.fromEntries([...own, ...ofFile.filter(([name]) => !taken.has(name))])
}

/** The first option that is not in the schema, or undefined. @internal */
export function unknownOption(schema: OptionsSchema, values: Readonly<Record<string, string>>): string | undefined {
  return Object.keys(values).find((name) => !isKnown(schema, name))
}

function isKnown(schema: OptionsSchema, name: string): boolean {
  // What has members is given member by member.
  if (Object.hasOwn(schema, name)) return schema[name]!.type !== 'object'
  const dot = name.indexOf('.')
  const field = dot > 0 ? schema[name.slice(0, dot)] : undefined
  return field?.fields !== undefined && isKnown(field.fields, name.slice(dot + 1))
}
