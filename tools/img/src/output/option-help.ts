import type { AnyDriver, FieldType, OptionsSchema } from '@blockloom/block-driver'

const TYPE_NAMES: Readonly<Record<Exclude<FieldType, 'object'>, string>> = {
  string: 'str',
  choice: 'str',
  boolean: 'bool (on/off)',
  size: 'size',
  integer: 'num',
  number: 'num',
}

/** What `-o help` prints. @param named - a target is named too, so there is nothing more to say @internal */
export function optionHelp(driver: AnyDriver, named: boolean): string {
  const lines = optionLines(driver.creation?.options ?? {}, '').sort()
  if (named) return `Supported options:\n${lines.join('')}`
  return `Supported ${driver.name} options:\n${lines.join('')}\nThe protocol level may support further options.\nSpecify the target filename to include those options.\n`
}

function optionLines(schema: OptionsSchema, prefix: string): string[] {
  return Object.entries(schema).flatMap(([name, field]) => {
    if (field.type === 'object') return optionLines(field.fields ?? {}, `${prefix}${name}.`)
    return [`  ${`${prefix}${name}=<${TYPE_NAMES[field.type]}>`.padEnd(22)} - ${field.doc}\n`]
  })
}
