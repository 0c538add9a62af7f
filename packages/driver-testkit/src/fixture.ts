import type { AnyDriver, BackingReference, Driver, OptionsSchema, ChildrenSchema } from '@blockloom/block-driver'
import type { FacetName } from './case.ts'

/** Any driver table, whatever its option types. @public */
export type TestedDriver = Driver<string, OptionsSchema, ChildrenSchema, OptionsSchema> | AnyDriver

/** What every fixture brings. @public */
export interface Fixture {
  /** The driver table itself. */
  readonly driver: TestedDriver
  /**
   * The facets that this configuration has on an image opened for writing (read-only if it has no `writer`), and those of
   * the table. The suite fails if it finds others: a facet cannot get lost unnoticed.
   */
  readonly facets: readonly FacetName[]
  /** Options of `open`, as a consumer writes them. */
  readonly options?: Readonly<Record<string, unknown>>
  /** Secrets that options name, by their ids. */
  readonly secrets?: Readonly<Record<string, string>>
  /** Runs after each case, also a failed one. */
  readonly dispose?: () => Promise<void>
}

/** The image that a case wants. @public */
export interface ImageRequest {
  readonly size: number
  /** A backing file that the header should name. */
  readonly backing: BackingReference | null
}

/** An image from elsewhere, for drivers that cannot create one. @public */
export interface SampleImage {
  /** Files by the name of the child: `file`, `data-file`, … */
  readonly files: Readonly<Record<string, Uint8Array>>
  /** The guest's bytes. */
  readonly content: Uint8Array
}

/** How children behave below a driver. @public */
export interface ChildTraits {
  /** Default 1. */
  readonly requestAlignment?: number
  /** Default true; false fills gaps in a growing file with garbage. */
  readonly zeroInit?: boolean
}

/** A format under test, in one configuration. @public */
export interface FormatFixture extends Fixture {
  /** Options of `creation.create`. Default: `size`, and `backing_file` and `backing_fmt` if a backing file is asked for. */
  readonly createOptions?: (image: ImageRequest) => Readonly<Record<string, unknown>>
  /** The size that an image gets if `requested` is asked for. Default: the same. */
  readonly actualSize?: (requested: number) => number
  /** Bytes, instead of a default of a few clusters, for formats with a smallest image. */
  readonly imageSize?: number
  /** Where images come from if the driver has no `creation`, or if this configuration cannot open what it creates. */
  readonly sample?: () => Promise<SampleImage>
  /** Options of `amend.amend` that a fresh image accepts, validated against `creation.amend`. Default: none. */
  readonly amendOptions?: Readonly<Record<string, unknown>>
  readonly child?: ChildTraits
  /** This configuration has a size that cannot change: every `resize` is refused with the code `unsupported`, and nothing changes. */
  readonly fixedSize?: boolean
}

/** A filter under test. Its options must let requests through unchanged. @public */
export interface FilterFixture extends Fixture {
  /** Further children by name, with their bytes; `file` is the kit's. */
  readonly children?: Readonly<Record<string, Uint8Array>>
  readonly child?: ChildTraits
}

/** A protocol under test. The hooks reach the host behind the driver's back. @public */
export interface ProtocolFixture extends Fixture {
  /** Makes something with this content and returns the options that open it for writing. */
  readonly make: (content: Uint8Array) => Promise<Readonly<Record<string, unknown>>>
  /** `reopen`: content stays; `open`: until close (memory); `nothing`: not even that (null). */
  readonly keeps: 'reopen' | 'open' | 'nothing'
  /** Options that name something that is not there. Absent: there is no such thing. */
  readonly missing?: () => Promise<Readonly<Record<string, unknown>>>
  /** What is on the host now, read behind the driver's back. */
  readonly peek?: (options: Readonly<Record<string, unknown>>) => Promise<Uint8Array>
  /** Creation options for a new place, and the options that then open it. Needed with `creation`. */
  readonly fresh?: (size: number) => Promise<{ readonly create: Readonly<Record<string, unknown>>; readonly open: Readonly<Record<string, unknown>> }>
  /** Filenames and the options they stand for. Needed with `parseFilename`. */
  readonly filenames?: readonly { readonly filename: string; readonly options: Readonly<Record<string, unknown>> }[]
  /** Bytes of the images that cases make. Default 256 KiB and a bit, cut to the alignment. */
  readonly imageSize?: number
}
