import type { OptionField, OptionsSchema } from '@blockloom/block-driver'

/** The options of a schema under their flat names (`encrypt.format`), in the order of the schema. @internal */
export function flatOptions(schema: OptionsSchema, prefix = ''): (readonly [name: string, field: OptionField])[] {
  return Object.entries(schema).flatMap(([name, field]) =>
    field.type === 'object' ? flatOptions(field.fields!, `${prefix}${name}.`) : [[prefix + name, field] as const],
  )
}
