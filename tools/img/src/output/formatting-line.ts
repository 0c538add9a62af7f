import type { AnyDriver, OptionField, OptionsSchema } from '@blockloom/block-driver'
import { Failure } from '../failure.ts'
import { readCount } from '../args/count.ts'
import { creationOptions, targetProtocol } from '../images/creation.ts'

/**
 * The line that `create` announces an image with: the options that were given, and those with a default, in the order
 * of the driver's schema and its file's. Values are checked for their type only; what they mean is the driver's.
 *
 * @throws Failure in the reference's words
 * @internal
 */
export function formattingLine(driver: AnyDriver, filename: string, values: Readonly<Record<string, string>>): string {
  const options = shownOptions(creationOptions(driver, targetProtocol(filename)), values, '')
  return `Formatting '${filename}', fmt=${driver.name} ${options.join(' ')}\n`
}

function shownOptions(schema: OptionsSchema, values: Readonly<Record<string, string>>, prefix: string): string[] {
  return Object.entries(schema).flatMap(([name, field]) => {
    const full = prefix + name
    if (field.type === 'object') return shownOptions(field.fields ?? {}, values, `${full}.`)
    const given = values[full]
    const shown = given === undefined ? shownDefault(name, field) : shownValue(full, field, given)
    return shown === undefined ? [] : [`${full}=${shown.replaceAll(',', ',,')}`]
  })
}

function shownDefault(name: string, field: OptionField): string | undefined {
  // Preallocation is off unless somebody says otherwise, and not worth mentioning.
  if (field.default === undefined || name === 'preallocation') return undefined
  if (typeof field.default === 'boolean') return field.default ? 'on' : 'off'
  return String(field.default)
}

const SIZE_HINT = 'Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\nand exabytes, respectively.\n'

function shownValue(name: string, field: OptionField, text: string): string {
  switch (field.type) {
    case 'size': {
      const count = readCount(text)
      if (count === 'malformed') throw new Failure(`Parameter '${name}' expects a non-negative number below 2^64`, { hint: SIZE_HINT })
      if (count === 'too large') throw new Failure(`Value '${text}' is out of range for parameter '${name}'`)
      return String(BigInt.asIntN(64, count.bytes))
    }
    case 'integer':
      if (!/^\s*[+-]?(0x[0-9a-f]+|\d+)$/i.test(text)) throw new Failure(`Parameter '${name}' expects a number`)
      return String(Number(text))
    case 'boolean':
      if (!/^(on|off|yes|no|true|false|y|n)$/.test(text)) throw new Failure(`Parameter '${name}' expects 'on' or 'off'`)
      return text
    default:
      return text
  }
}
