/** Whether an option must be given, may be absent, or falls back to a default. @public */
export type Presence = 'required' | 'optional' | 'defaulted'

/** Every kind of value an option can have. `size` is a byte count that also accepts `64k`, `1.5G`. @public */
export type FieldType = 'string' | 'boolean' | 'size' | 'integer' | 'number' | 'choice' | 'object'

/**
 * One documented option. Made by {@link option}; the README's table, `-o help` and the QMP shapes come from it.
 *
 * @public
 */
export interface OptionField<T = unknown, P extends Presence = Presence> {
  readonly type: FieldType
  /** One phrase, without a full stop, as shown by `-o help`. */
  readonly doc: string
  readonly presence: P
  readonly default?: T
  /** May change while the image is open. */
  readonly reopen: boolean
  /** A secret: never printed. */
  readonly secret: boolean
  readonly choices?: readonly string[]
  readonly min?: number
  readonly max?: number
  /** Members of an `object`; flat spellings use dots: `encrypt.format`. */
  readonly fields?: OptionsSchema
  /** The member of an `object` that a plain value in its place stands for: `overlap-check=all`. */
  readonly shorthand?: string
  /** Only for the compiler: the type of the value. */
  readonly value?: T
}

/** Options by name, in the order they are documented. @public */
export type OptionsSchema = { readonly [name: string]: OptionField }

interface Init<T> {
  readonly default?: T
  readonly required?: true
  readonly reopen?: boolean
  readonly secret?: boolean
}

interface NumberInit extends Init<number> {
  readonly min?: number
  readonly max?: number
}

type PresenceOf<I> = I extends { readonly required: true }
  ? 'required'
  : I extends { readonly default: {} }
    ? 'defaulted'
    : 'optional'

function make<T, I>(type: FieldType, doc: string, init: (I & Init<T>) | undefined, more: object = {}): OptionField<T, PresenceOf<I>> {
  const { required, ...rest } = (init ?? {}) as Init<T>
  const presence: Presence = required ? 'required' : rest.default === undefined ? 'optional' : 'defaulted'
  return Object.freeze({ type, doc, reopen: false, secret: false, ...rest, ...more, presence }) as OptionField<T, PresenceOf<I>>
}

/**
 * Builders of option fields.
 *
 * @example
 * ```ts
 * const options = {
 *   filename: option.string('File name on the host', { required: true }),
 *   locking: option.choice(['on', 'off', 'auto'], 'Image locks', { default: 'auto' }),
 * }
 * ```
 * @public
 */
export const option = {
  string: <const I extends Init<string> = {}>(doc: string, init?: I) => make<string, I>('string', doc, init),
  boolean: <const I extends Init<boolean> = {}>(doc: string, init?: I) => make<boolean, I>('boolean', doc, init),
  /** Bytes, 0 … 2^53-1 unless narrowed; strings may carry k, M, G, T, P, E (powers of 1024). */
  size: <const I extends NumberInit = {}>(doc: string, init?: I) => make<number, I>('size', doc, init),
  integer: <const I extends NumberInit = {}>(doc: string, init?: I) => make<number, I>('integer', doc, init),
  number: <const I extends NumberInit = {}>(doc: string, init?: I) => make<number, I>('number', doc, init),
  choice: <const C extends readonly string[], const I extends Init<C[number]> = {}>(choices: C, doc: string, init?: I) =>
    make<C[number], I>('choice', doc, init, { choices }),
  /** With `shorthand`, a plain value in place of the object is the value of that member, as in QAPI's alternates. */
  object: <const F extends OptionsSchema, const K extends (keyof F & string) | undefined = undefined>(fields: F, doc: string, init?: { readonly shorthand?: K }) =>
    make<OptionsOf<F>, {}>('object', doc, undefined, { fields, ...init }) as OptionField<OptionsOf<F>, 'optional'> & {
      readonly input?: OptionsInput<F> | (K extends keyof F ? InputOf<F[K]> : never)
    },
} as const

type InputOf<F> = F extends { readonly input?: infer I } ? NonNullable<I> : F extends OptionField<infer T> ? T : never
type ValueOf<F> = F extends OptionField<infer T> ? T : never
type Keys<S, P extends Presence> = { [K in keyof S]: S[K] extends OptionField<unknown, infer Q> ? (Q extends P ? K : never) : never }[keyof S]
type Flat<T> = { [K in keyof T]: T[K] } & {}

/** What a consumer writes: required options must be there, all others may be left out. @public */
export type OptionsInput<S extends OptionsSchema> = Flat<
  { readonly [K in Keys<S, 'required'>]: InputOf<S[K]> } & { readonly [K in Keys<S, 'optional' | 'defaulted'>]?: InputOf<S[K]> | undefined }
>

/** What a driver receives: validated, with defaults filled in. @public */
export type OptionsOf<S extends OptionsSchema> = Flat<
  { readonly [K in Keys<S, 'required' | 'defaulted'>]: ValueOf<S[K]> } & { readonly [K in Keys<S, 'optional'>]?: ValueOf<S[K]> }
>
