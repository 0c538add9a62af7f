import type { CheckOptions, CheckResult } from '@blockloom/block-driver'

/** More lines than anybody reads; a broken image of some size could give billions. */
const MAX_LINES = 1_000_000

/** Counts what a check finds and tells it, one line per problem. @internal */
export class Findings {
  corruptions = 0
  leaks = 0
  checkErrors = 0
  corruptionsFixed = 0
  leaksFixed = 0
  allocatedClusters = 0
  fragmentedClusters = 0
  compressedClusters = 0
  /** The highest cluster that is in use, or says that it is. */
  highestCluster = 0
  readonly #lines: { count: number }
  readonly #report: CheckOptions['report']

  constructor(report: CheckOptions['report'], lines = { count: 0 }) {
    this.#report = report
    this.#lines = lines
  }

  /** Tells to the same listener, but counts by itself. */
  fork(): Findings {
    return new Findings(this.#report, this.#lines)
  }

  /** Adds what another one counted of problems. */
  add(other: Findings): void {
    this.corruptions += other.corruptions
    this.leaks += other.leaks
    this.checkErrors += other.checkErrors
    this.corruptionsFixed += other.corruptionsFixed
    this.leaksFixed += other.leaksFixed
    this.highestCluster = Math.max(this.highestCluster, other.highestCluster)
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

  /** A corruption that is being repaired. */
  corruptionFixed(line: string, times = 1): void {
    this.corruptionsFixed += times
    this.#tell(line, 'repair')
  }

  /** A leak that is being repaired. */
  leakFixed(line: string): void {
    this.leaksFixed++
    this.#tell(line, 'repair')
  }

  /** A line about the repair as a whole. */
  note(line: string): void {
    this.#tell(line, 'repair')
  }

  result(): CheckResult {
    const { corruptions, leaks, checkErrors, corruptionsFixed, leaksFixed, allocatedClusters, fragmentedClusters, compressedClusters } = this
    return { corruptions, leaks, checkErrors, corruptionsFixed, leaksFixed, allocatedClusters, fragmentedClusters, compressedClusters }
  }

  #tell(line: string, severity: 'leak' | 'error' | 'repair'): void {
    if (this.#lines.count++ < MAX_LINES) this.#report?.(line, severity)
  }
}
