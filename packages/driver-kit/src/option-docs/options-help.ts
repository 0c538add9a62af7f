import type { FieldType, OptionsSchema } from '@blockloom/block-driver'
import { flatOptions } from './flat-options.ts'

const TYPE_WORDS: Readonly<Record<Exclude<FieldType, 'object'>, string>> = {
  string: 'str', choice: 'str', boolean: 'bool (on/off)', size: 'size', integer: 'num', number: 'num',
}
const DOC_COLUMN = 24

/**
 * The options as `qemu-img create -f <format> -o help` shows them: one line each, sorted, with a final newline.
 *
 * @param heading - the first line
 * @public
 */
export function optionsHelp(schema: OptionsSchema, heading = 'Supported options:'): string {
  const lines = flatOptions(schema).map(([name, field]) => {
    const start = `  ${name}=<${TYPE_WORDS[field.type as keyof typeof TYPE_WORDS]}>`
    return field.doc === '' ? start : `${start.padEnd(DOC_COLUMN)} - ${field.doc}`
  })
  // The reference sorts by bytes, and whole lines: `compat6=` comes before `compat=`.
  lines.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  return [heading, ...lines].map((line) => `${line}\n`).join('')
}
