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

/** The first option that the format does not know, or undefined. @internal */
export function unknownOption(driver: AnyDriver, values: Readonly<Record<string, string>>): string | undefined {
  return Object.keys(values).find((name) => !isKnown(driver.creation?.options ?? {}, name))
}

function isKnown(schema: OptionsSchema, name: string): boolean {
  if (Object.hasOwn(schema, name)) return true
  const dot = name.indexOf('.')
  const field = dot > 0 ? schema[name.slice(0, dot)] : undefined
  return field?.fields !== undefined && isKnown(field.fields, name.slice(dot + 1))
}
