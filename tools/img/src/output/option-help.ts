import type { AnyDriver, FieldType, OptionsSchema } from '@blockloom/block-driver'
import { Failure } from '../failure.ts'
import { creationOptions, targetProtocol } from '../images/creation.ts'

const TYPE_NAMES: Readonly<Record<Exclude<FieldType, 'object'>, string>> = {
  string: 'str',
  choice: 'str',
  boolean: 'bool (on/off)',
  size: 'size',
  integer: 'num',
  number: 'num',
}

/**
 * What `-o help` prints. With a target's name, the options of its file are there too.
 *
 * @throws Failure if nothing can be created in such a file
 * @internal
 */
export function optionHelp(driver: AnyDriver, filename: string | undefined): string {
  const protocol = filename === undefined ? null : targetProtocol(filename)
  if (protocol !== null && protocol.creation === undefined) throw new Failure(`Protocol driver '${protocol.name}' does not support image creation`)
  const lines = optionLines(creationOptions(driver, protocol), '').sort()
  if (protocol !== null) return `Supported options:\n${lines.join('')}`
  return `Supported ${driver.name} options:\n${lines.join('')}\nThe protocol level may support further options.\nSpecify the target filename to include those options.\n`
}

/** What `-o help` of `amend` prints. @internal */
export function amendHelp(driver: AnyDriver): string {
  return `Amend options for '${driver.name}':\n${optionLines(driver.creation?.amend ?? {}, '').sort().join('')}`
}

function optionLines(schema: OptionsSchema, prefix: string): string[] {
  return Object.entries(schema).flatMap(([name, field]) => {
    if (field.type === 'object') return optionLines(field.fields ?? {}, `${prefix}${name}.`)
    return [`  ${`${prefix}${name}=<${TYPE_NAMES[field.type]}>`.padEnd(22)} - ${field.doc}\n`]
  })
}
