import type { OptionField, OptionsSchema } from '@blockloom/block-driver'
import { flatOptions } from './flat-options.ts'

/**
 * The options as a Markdown table for a README, in the order of the schema, with a final newline. Defaults of secrets
 * are not shown.
 *
 * @public
 */
export function optionsTable(schema: OptionsSchema): string {
  const rows = flatOptions(schema).map(([name, field]) => [`\`${name}\``, typeOf(field), defaultOf(field), docOf(field)])
  return [['option', 'type', 'default', ''], ['---', '---', '---', '---'], ...rows].map((row) => `| ${row.join(' | ')} |\n`).join('')
}

function typeOf(field: OptionField): string {
  if (field.choices !== undefined) return field.choices.map((choice) => `\`${choice}\``).join(', ')
  if (field.type === 'boolean') return '`on`, `off`'
  const { min, max } = field
  const show = (value: number) => (field.type === 'size' ? sizeText(value) : String(value))
  if (min !== undefined && max !== undefined) return `${field.type}, ${show(min)} to ${show(max)}`
  if (min !== undefined) return `${field.type}, at least ${show(min)}`
  if (max !== undefined) return `${field.type}, at most ${show(max)}`
  return field.type
}

function defaultOf(field: OptionField): string {
  if (field.presence === 'required') return '(required)'
  if (field.default === undefined || field.secret) return ''
  if (field.type === 'boolean') return field.default ? '`on`' : '`off`'
  return `\`${field.type === 'size' ? sizeText(field.default as number) : String(field.default)}\``
}

function docOf(field: OptionField): string {
  // A pipe would end the cell.
  const doc = field.doc.replaceAll('|', '\\|')
  return field.reopen ? `${doc}. May change while open` : doc
}

/** Bytes in the spelling that options accept. */
function sizeText(bytes: number): string {
  const suffixes = ['', 'k', 'M', 'G', 'T', 'P']
  let power = 0
  let value = bytes
  while (value > 0 && value % 1024 === 0 && power < suffixes.length - 1) {
    value /= 1024
    power += 1
  }
  return `${value}${suffixes[power]}`
}
