import { BlockError } from '@blockloom/block-driver'
import type { StructField } from './struct-fields.ts'

/** Fields of a header by name, in the order in which they lie on disk, without gaps. @public */
export type StructLayout = { readonly [name: string]: StructField<unknown> }

/** The values of a layout. @public */
export type StructValues<L extends StructLayout> = { -readonly [K in keyof L]: L[K] extends StructField<infer T> ? T : never }

/** A header's layout, both ways. Pure: nothing is judged but what a field cannot hold. @public */
export interface Struct<L extends StructLayout> {
  /** Length on disk. */
  readonly bytes: number
  /** Where each field starts. */
  readonly offsets: { readonly [K in keyof L]: number }
  /** @throws BlockError `corrupt` if the bytes end before the struct does, `range` for 64-bit values of 2^53 and more; both name the field */
  decode(bytes: Uint8Array, at?: number): StructValues<L>
  /** @throws BlockError `invalid` naming the field whose value does not fit */
  encode(values: StructValues<L>): Uint8Array
  /** The same, in place. */
  encodeInto(bytes: Uint8Array, at: number, values: StructValues<L>): void
}

/**
 * Describes a structure on disk.
 *
 * @example
 * ```ts
 * const footer = struct('footer', { cookie: fixedString(8), features: u32be, dataOffset: u64be, id: uuid })
 * const { dataOffset } = footer.decode(block)
 * ```
 * @param name - starts the messages of errors: `footer.dataOffset is too large`
 * @public
 */
export function struct<const L extends StructLayout>(name: string, layout: L): Struct<L> {
  const fields: { readonly key: string; readonly field: StructField<unknown>; readonly at: number }[] = []
  let bytes = 0
  for (const [key, field] of Object.entries(layout)) {
    fields.push({ key, field, at: bytes })
    bytes += field.bytes
  }
  const encodeInto = (into: Uint8Array, at: number, values: StructValues<L>): void => {
    for (const { key, field, at: place } of fields) field.write(into, at + place, (values as Record<string, unknown>)[key], `${name}.${key}`)
  }
  return {
    bytes,
    offsets: Object.freeze(Object.fromEntries(fields.map(({ key, at }) => [key, at]))) as { [K in keyof L]: number },
    decode(from, at = 0) {
      const values: Record<string, unknown> = {}
      for (const { key, field, at: place } of fields) {
        if (at + place + field.bytes > from.length) {
          throw new BlockError('corrupt', `${name} is truncated: no room for ${name}.${key}`, { detail: { field: `${name}.${key}` } })
        }
        values[key] = field.read(from, at + place, `${name}.${key}`)
      }
      return values as StructValues<L>
    },
    encode(values) {
      const into = new Uint8Array(bytes)
      encodeInto(into, 0, values)
      return into
    },
    encodeInto,
  }
}
