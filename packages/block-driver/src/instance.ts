import type { AioContextFacet } from './facets/aio-context.ts'
import type { AmendFacet } from './facets/amend.ts'
import type { BackingFacet } from './facets/backing.ts'
import type { BitmapFacet } from './facets/bitmap.ts'
import type { CheckFacet } from './facets/check.ts'
import type { CompressFacet } from './facets/compress.ts'
import type { DebugFacet } from './facets/debug.ts'
import type { MediumFacet } from './facets/medium.ts'
import type { PermissionFacet } from './facets/permission.ts'
import type { ResizeFacet } from './facets/resize.ts'
import type { SnapshotFacet } from './facets/snapshot.ts'
import type { Attempt, WriteFacet } from './facets/write.ts'
import type { Extent } from './extent.ts'
import type { Limits } from './limits.ts'
import type { Transaction } from './transaction.ts'

/**
 * One opened image, as its driver sees it. Consumers never hold one: the core wraps it in a `BlockNode` and
 * calls these hooks only with requests that are in range, not empty, aligned to `limits`, permitted, and not
 * overlapping a serialising one. A facet that is present is a capability.
 *
 * @typeParam O - the driver's options
 * @public
 */
export interface Instance<O = unknown> {
  /** Constant while the image is open, except after `reopen` and `resize`. */
  readonly limits: Limits
  /** Bytes, 0 … MAX_IMAGE_SIZE. A number (no promise) on every instance whose length does not change by itself. */
  size(): number | Promise<number>
  /** Fills all of `into`. Short reads do not exist: fewer bytes in the file are zeroes. `DONE` itself if it is done already. */
  read(offset: number, into: Uint8Array, flags: number): Promise<void>
  /** Frees everything. The core has flushed and drained; children are closed by the core afterwards. */
  close(): Promise<void>

  /** Absent: everything is data. No promise if it is known already. */
  readonly extents?: (offset: number, bytes: number) => Extent | Promise<Extent>
  readonly writer?: WriteFacet
  /** Makes a range read as zeroes by metadata. Reaches the driver aligned to `limits.zeroAlignment`. */
  readonly zero?: (offset: number, bytes: number, flags: number) => Promise<Attempt>
  /** Reaches the driver aligned to `limits.discardAlignment`. */
  readonly discard?: (offset: number, bytes: number) => Promise<Attempt>
  readonly resize?: ResizeFacet
  readonly compress?: CompressFacet
  readonly check?: CheckFacet
  readonly snapshots?: SnapshotFacet
  readonly bitmaps?: BitmapFacet
  readonly backing?: BackingFacet
  readonly amend?: AmendFacet
  readonly medium?: MediumFacet
  readonly debug?: DebugFacet
  readonly permissions?: PermissionFacet
  /** Prepares other options; then `commit` or `abort`, neither may fail. */
  readonly reopen?: (next: O) => Promise<Transaction>
  readonly aioContext?: AioContextFacet
  /** Drops all guest data of this layer, so that everything is read from the backing child. Present only with `writer`. */
  readonly makeEmpty?: () => Promise<void>
  /** Space used on the host in bytes; absent: the sum of the children that store data or metadata. */
  readonly allocatedSize?: () => Promise<number>
  /** A new image of this kind, in this place, reads as zeroes. Absent: false. */
  readonly zeroInit?: boolean
  /** Forgets cached metadata and reads it again (another process had the image). */
  readonly invalidate?: () => Promise<void>
  /** Facts about the image, JSON-cloneable, named as in QAPI `ImageInfoSpecific`. */
  readonly info?: () => Promise<Readonly<Record<string, unknown>>>
  /** For protocols: a plain name that opens the same thing again, if there is one. */
  readonly filename?: string
}

/** A filter's instance: what is left out is forwarded to the filtered child by the core. @public */
export type FilterInstance<O = unknown> = Partial<Instance<O>> & Pick<Instance<O>, 'close'>
