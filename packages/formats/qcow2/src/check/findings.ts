import type { CheckOptions, CheckResult } from '@blockloom/block-driver'

/** More lines than anybody reads; a broken image of some size could give billions. */
const MAX_LINES = 1_000_000

/** Counts what a check finds and tells it, one line per problem. @internal */
export class Findings {
  corruptions = 0
  leaks = 0
  checkErrors = 0
  allocatedClusters = 0
  fragmentedClusters = 0
  compressedClusters = 0
  /** The highest cluster that is in use, or says that it is. */
  highestCluster = 0
  #lines = 0
  readonly #report: CheckOptions['report']

  constructor(report: CheckOptions['report']) {
    this.#report = report
  }

  /** The same corruption `times` times, told once. */
  corruption(line: string, times = 1): void {
    this.corruptions += times
    this.#tell(line, 'error')
  }

  leak(line: string): void {
    this.leaks++
    this.#tell(line, 'leak')
  }

  /** Something that could not be examined. */
  failure(line: string, times = 1): void {
    this.checkErrors += times
    this.#tell(line, 'error')
  }

  result(): CheckResult {
    const { corruptions, leaks, checkErrors, allocatedClusters, fragmentedClusters, compressedClusters } = this
    return { corruptions, leaks, checkErrors, corruptionsFixed: 0, leaksFixed: 0, allocatedClusters, fragmentedClusters, compressedClusters }
  }

  #tell(line: string, severity: 'leak' | 'error'): void {
    if (this.#lines++ < MAX_LINES) this.#report?.(line, severity)
  }
}
