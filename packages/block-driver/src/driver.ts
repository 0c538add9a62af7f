import type { ChildHandle } from './child.ts'
import type { CreateContext, Measurement, MeasureContext } from './create-context.ts'
import type { FilterInstance, Instance } from './instance.ts'
import type { OpenContext } from './open-context.ts'
import type { OptionsOf, OptionsSchema } from './options/field.ts'

/** @public */
export type DriverKind = 'format' | 'protocol' | 'filter'

/** A child that a driver's spec may name. @public */
export interface ChildField {
  readonly doc: string
  /** `required`: the consumer or the image must name it. `implicit`: the image may name it. */
  readonly presence: 'required' | 'implicit'
}

/** @public */
export type ChildrenSchema = { readonly [name: string]: ChildField }

/** Making new images. @public */
export interface CreateDefinition<C extends OptionsSchema = OptionsSchema> {
  /** Creation options, by the names that `qemu-img create -o` knows. */
  readonly options: C
  /** Options that an existing image can be amended with, in the order of its help; see `AmendFacet`. */
  readonly amend?: OptionsSchema
  /** Writes an empty image. After a failure the file's content is not defined; the caller removes it. */
  create(context: CreateContext<OptionsOf<C>>): Promise<void>
  /** Space needed; pure arithmetic over the source's runs. */
  measure?(context: MeasureContext<OptionsOf<C>>): Promise<Measurement>
}

/**
 * A driver: one frozen table, made by {@link defineDriver} or {@link defineFilter}, given to a graph by the
 * consumer. There is no registry.
 *
 * @public
 */
export interface Driver<N extends string = string, S extends OptionsSchema = OptionsSchema, Ch extends ChildrenSchema = ChildrenSchema, C extends OptionsSchema = OptionsSchema> {
  /** Version of this contract. */
  readonly contract: 1
  readonly name: N
  readonly kind: DriverKind
  /** One phrase for tables and help. */
  readonly summary: string
  readonly options: S
  readonly children: Ch
  /** Returns an instance; a filter's may be partial. After a failure nothing is left open. */
  open(context: OpenContext<never>): Promise<FilterInstance>
  /**
   * Scores the first bytes of a file, 0 … 100; pure. Never called unless the consumer asks for probing: a guest
   * can write any header into a raw disk.
   */
  readonly probe?: (head: Uint8Array, filename: string) => number
  /** A protocol claims a host device by its name, 0 … 100. */
  readonly probeDevice?: (filename: string) => number
  /** First parts of filenames, with the colon: `['nbd:']` claims `nbd://host/export`. */
  readonly prefixes?: readonly string[]
  /** Turns a filename into options. Absent: the driver takes no filename. */
  readonly parseFilename?: (filename: string) => Readonly<Record<string, unknown>>
  readonly creation?: CreateDefinition<C>
}

/** What {@link defineDriver} takes: a {@link Driver} whose `open` sees its own options. @public */
export type DriverDefinition<N extends string, S extends OptionsSchema, Ch extends ChildrenSchema, C extends OptionsSchema> =
  Omit<Driver<N, S, Ch, C>, 'contract' | 'open' | 'kind' | 'children' | 'options'> & {
    readonly kind: 'format' | 'protocol'
    readonly options: S
    readonly children?: Ch
    open(context: OpenContext<OptionsOf<S>>): Promise<Instance<OptionsOf<S>>>
  }

/** Makes a format or protocol driver. @public */
export function defineDriver<const N extends string, const S extends OptionsSchema, const Ch extends ChildrenSchema = {}, const C extends OptionsSchema = OptionsSchema>(
  definition: DriverDefinition<N, S, Ch, C>,
): Driver<N, S, Ch, C> {
  return Object.freeze({ ...definition, contract: 1, children: definition.children ?? ({} as Ch) }) as unknown as Driver<N, S, Ch, C>
}

/** What {@link defineFilter} takes. @public */
export interface FilterDefinition<N extends string, S extends OptionsSchema, Ch extends ChildrenSchema> {
  readonly name: N
  readonly summary: string
  readonly options: S
  /** Further children; `file`, the filtered one, is always there. */
  readonly children?: Ch
  /** `next` is the filtered child. Whatever the instance leaves out is forwarded to it. */
  open(context: OpenContext<OptionsOf<S>>, next: ChildHandle): Promise<FilterInstance<OptionsOf<S>>>
  readonly prefixes?: readonly string[]
  readonly parseFilename?: (filename: string) => Readonly<Record<string, unknown>>
}

/** The children of a filter: its own and `file`. @public */
export type FilterChildren<Ch> = Ch & { readonly file: { readonly doc: string; readonly presence: 'required' } }

/** Makes a filter: it shows its `file` child's bytes. @public */
export function defineFilter<const N extends string, const S extends OptionsSchema, const Ch extends ChildrenSchema = {}>(
  definition: FilterDefinition<N, S, Ch>,
): Driver<N, S, FilterChildren<Ch>> {
  const { open, children, ...rest } = definition
  return Object.freeze({
    ...rest,
    contract: 1,
    kind: 'filter',
    children: { file: { doc: 'The node that is filtered', presence: 'required' }, ...children },
    open: async (context: OpenContext<OptionsOf<S>>) => open(context, await context.child('file', { role: FILTER_ROLE })),
  }) as unknown as Driver<N, S, FilterChildren<Ch>>
}

// ChildRole.FILTERED | ChildRole.PRIMARY, QAPI's "filtered child".
const FILTER_ROLE = 0x04 + 0x10
