import type { ChildHandle } from './child.ts'
import type { Clock } from './facets/aio-context.ts'
import type { Extent } from './extent.ts'
import type { SecretLookup } from './secret.ts'

/** What `create` gets. @public */
export interface CreateContext<O = unknown> {
  readonly options: O
  readonly clock: Clock
  readonly signal: AbortSignal | undefined
  /** The primary file, empty or to be overwritten, with permission to write and resize. Protocols have none. */
  readonly file: ChildHandle | null
  /** Creates (or opens, if it exists) another file, named as an option of this image names it, and opens it to write and resize. */
  createFile(name: string, filename: string, size: number): Promise<ChildHandle>
  /** Secrets that options name. */
  readonly secret: SecretLookup
  warn(message: string): void
}

/** What `measure` gets: the size, and, if there is a source, what is allocated in it. @public */
export interface MeasureContext<O = unknown> {
  readonly options: O
  /** Virtual size in bytes. */
  readonly size: number
  /** Runs of the source from 0 to its end, in order; absent: a full image of `size` is not assumed, nothing is allocated. */
  readonly source?: AsyncIterable<Extent>
}

/** Bytes a new image will take. @public */
export interface Measurement {
  readonly required: number
  readonly fullyAllocated: number
  /** Bytes for persistent bitmaps, if the format stores them. */
  readonly bitmaps?: number
}
