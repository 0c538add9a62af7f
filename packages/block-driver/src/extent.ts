import type { ChildHandle } from './child.ts'

/**
 * A fact about guest bytes, and how far it holds (`bytes` ≥ 1, at most what was asked).
 *
 * - `data`: the bytes are here; `host` tells where they can be read unchanged in a child
 * - `zero`: reads as zeroes, whatever is below; `host` if a place is allocated for them
 * - `absent`: not here: look in the backing child, or zeroes if there is none
 * - `encoded`: allocated, but compressed or encrypted: only `read` gives the bytes
 *
 * @public
 */
export type Extent =
  | { readonly kind: 'data'; readonly bytes: number; readonly host?: HostExtent }
  | { readonly kind: 'zero'; readonly bytes: number; readonly host?: HostExtent }
  | { readonly kind: 'absent'; readonly bytes: number }
  | { readonly kind: 'encoded'; readonly bytes: number; readonly compressed?: boolean }

/** Where an extent's bytes lie in a child; a child of `null` is the driver's own host file. @public */
export interface HostExtent {
  readonly child: ChildHandle | null
  readonly offset: number
}
