import type { ChildHandle, ChildSlot } from './child.ts'
import type { Clock } from './facets/aio-context.ts'
import type { BackingReference } from './facets/backing.ts'
import type { SecretLookup } from './secret.ts'

/** How an image is opened. @public */
export interface OpenMode {
  /** Nobody will write. Otherwise the driver opens for writing, and fails if it cannot. */
  readonly readOnly: boolean
  /** Only metadata will be asked for: do not open data files (CVE-2024-4467). */
  readonly noIo: boolean
  /** Leave the backing child closed. */
  readonly noBacking: boolean
  /** `check` will run: open in spite of damage that it can repair. */
  readonly forCheck: boolean
}

/** What a driver asks of a child. @public */
export interface ChildRequest {
  /** Mask of `ChildRole`. */
  readonly role: number
  /** What the image itself says; used only if the consumer said nothing, and only if the graph's gate allows it. */
  readonly fromImage?: BackingReference
}

/** What `open` gets. @public */
export interface OpenContext<O = unknown> {
  readonly options: O
  readonly mode: OpenMode
  readonly nodeName: string
  readonly clock: Clock
  /** Aborts the open. */
  readonly signal: AbortSignal | undefined
  /**
   * Opens and attaches a child. The core closes it if `open` fails later.
   * @throws BlockError `invalid` if neither the consumer nor the image names one
   */
  child(name: string, request: ChildRequest): Promise<ChildHandle>
  /** The same for a child that may be absent, now or later. */
  optionalChild(name: string, request: ChildRequest): Promise<ChildSlot>
  /** Secrets that options name. */
  readonly secret: SecretLookup
  /** Something the user should know that is not an error. */
  warn(message: string): void
}
