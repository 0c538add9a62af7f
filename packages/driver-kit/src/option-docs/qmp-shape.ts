import type { OptionField, OptionsSchema } from '@blockloom/block-driver'

/** A member of a {@link QmpObject}. `default: null` means that it may be left out, as in QMP. @public */
export interface QmpMember {
  readonly name: string
  readonly type: QmpType
  readonly default?: null
}

/** A built-in type's name, or a type in full. @public */
export type QmpType = 'str' | 'bool' | 'int' | 'number' | QmpEnum | QmpObject | QmpAlternate

/** @public */
export interface QmpEnum {
  readonly 'meta-type': 'enum'
  readonly members: readonly { readonly name: string }[]
}

/** One of several types, told apart by the value. @public */
export interface QmpAlternate {
  readonly 'meta-type': 'alternate'
  readonly members: readonly { readonly type: QmpType }[]
}

/** @public */
export interface QmpObject {
  readonly 'meta-type': 'object'
  readonly members: readonly QmpMember[]
}

/**
 * The options as QMP's introspection describes a type (`query-qmp-schema`), with nested types in place of
 * references. JSON.
 *
 * @public
 */
export function qmpShape(schema: OptionsSchema): QmpObject {
  return {
    'meta-type': 'object',
    members: Object.entries(schema).map(([name, field]) => ({
      name,
      type: typeOf(field),
      ...(field.presence !== 'required' && { default: null }),
    })),
  }
}

function typeOf(field: OptionField): QmpType {
  switch (field.type) {
    case 'string':
      return 'str'
    case 'boolean':
      return 'bool'
    case 'size':
    case 'integer':
      return 'int'
    case 'number':
      return 'number'
    case 'choice':
      return { 'meta-type': 'enum', members: field.choices!.map((name) => ({ name })) }
    case 'object': {
      const shape = qmpShape(field.fields!)
      if (field.shorthand === undefined) return shape
      return { 'meta-type': 'alternate', members: [{ type: shape }, { type: typeOf(field.fields![field.shorthand]!) }] }
    }
  }
}
