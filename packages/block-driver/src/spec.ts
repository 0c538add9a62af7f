import type { ChildrenSchema, Driver } from './driver.ts'
import type { OptionsInput, OptionsSchema } from './options/field.ts'

/** Options that every node has, whatever its driver. @public */
export interface NodeOptions {
  /** Name in the graph; generated (`#block` and a number) if absent. */
  readonly 'node-name'?: string | undefined
  /** Nobody may write through this node. Default: as the parent needs it. */
  readonly 'read-only'?: boolean | undefined
  /** Writes of zeroes become write-zeroes. Default `off`. */
  readonly 'detect-zeroes'?: 'off' | 'on' | 'unmap' | undefined
  /** Default `unmap` for tools, `ignore` otherwise. */
  readonly discard?: 'ignore' | 'unmap' | undefined
  /** Other processes may write to the file: take no exclusive image locks. */
  readonly 'force-share'?: boolean | undefined
}

type ChildSpecs<Ch extends ChildrenSchema, D extends readonly AnyDriver[]> = {
  readonly [K in keyof Ch as Ch[K]['presence'] extends 'required' ? K : never]: NodeSpec<D> | string
} & {
  readonly [K in keyof Ch as Ch[K]['presence'] extends 'required' ? never : K]?: NodeSpec<D> | string | null | undefined
}

/** @public */
export type AnyDriver = Driver<string, OptionsSchema, ChildrenSchema, OptionsSchema>

type SpecOf<X, D extends readonly AnyDriver[]> =
  X extends Driver<infer N, infer S, infer Ch, infer _C> ? { readonly driver: N } & NodeOptions & OptionsInput<S> & ChildSpecs<Ch, D> : never

/**
 * The spec of a node, computed from the drivers that the consumer passed: an unregistered driver or a misspelt
 * option does not compile. A child is a spec, the name of an existing node, `null` = explicitly none, or left
 * out = as the image says.
 *
 * @public
 */
export type NodeSpec<D extends readonly AnyDriver[]> = { [I in keyof D]: SpecOf<D[I], D> }[number]
