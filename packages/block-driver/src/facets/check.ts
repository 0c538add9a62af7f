/** What to repair: nothing, leaked clusters, or everything. @public */
export type CheckFix = 'none' | 'leaks' | 'errors'

/** @public */
export interface CheckOptions {
  readonly fix: CheckFix
  readonly signal?: AbortSignal
  /** One line per problem found, in the reference's words. */
  readonly report?: (line: string, severity: 'leak' | 'error' | 'repair') => void
}

/** Counts of a consistency check, named as in QAPI `ImageCheck`. @public */
export interface CheckResult {
  readonly corruptions: number
  readonly leaks: number
  readonly checkErrors: number
  readonly corruptionsFixed: number
  readonly leaksFixed: number
  /** Offset behind the last used byte of the file. */
  readonly imageEndOffset?: number
  readonly totalClusters?: number
  readonly allocatedClusters?: number
  readonly fragmentedClusters?: number
  readonly compressedClusters?: number
}

/** Consistency check and repair. @public */
export interface CheckFacet {
  /** What it can repair here; absent on read-only images, and where there is nothing but the check. */
  readonly fixes?: readonly Exclude<CheckFix, 'none'>[]
  /**
   * Without a repair it never throws for a broken image: what cannot be examined counts in `checkErrors`. `fix` is `none` or
   * one of `fixes`.
   *
   * @throws BlockError from a repair: `corrupt` for damage that is in its way; what a request to the file threw
   */
  check(options: CheckOptions): Promise<CheckResult>
}
