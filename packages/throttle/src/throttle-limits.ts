/** The six limits: bytes or operations per second, of all requests or of one direction. @public */
export type BucketName = 'bps-total' | 'bps-read' | 'bps-write' | 'iops-total' | 'iops-read' | 'iops-write'

/**
 * Limits, by the names of QAPI's ThrottleLimits. Absent, undefined and 0 mean no limit.
 *
 * - `<bucket>`: the rate that holds in the long run, bytes or operations per second
 * - `<bucket>-max`: the rate during bursts
 * - `<bucket>-max-length`: how many seconds a burst at that rate may last, 1 unless given
 * - `iops-size`: a request of more bytes than this counts as several operations, in proportion
 *
 * Source: docs/throttle.txt of QEMU.
 *
 * @public
 */
export type ThrottleLimits = {
  readonly [K in BucketName | `${BucketName}-max` | `${BucketName}-max-length` | 'iops-size']?: number | undefined
}

/** Why limits can not be used. @public */
export interface LimitsProblem {
  /** The option that is wrong, or one of those that contradict each other. */
  readonly field: string
  /** In the wording of the reference tools. */
  readonly message: string
}

/** The largest rate, and the most that may pass in one burst. @public */
export const THROTTLE_VALUE_MAX = 1e15

/** In the order in which problems are reported. @internal */
export const BUCKET_NAMES: readonly BucketName[] = [
  'bps-total', 'bps-read', 'bps-write', 'iops-total', 'iops-read', 'iops-write',
]

const MAX_LENGTH = 4294967295

const KNOWN: ReadonlySet<string> = new Set([
  'iops-size',
  ...BUCKET_NAMES.flatMap((name) => [name, `${name}-max`, `${name}-max-length`]),
])

/** What is wrong with `limits`, or null; the first problem in the order in which the reference tools find them. @public */
export function limitsProblem(limits: ThrottleLimits): LimitsProblem | null {
  return shapeProblem(limits) ?? conflictProblem(limits) ?? sizeProblem(limits) ?? bucketsProblem(limits)
}

/** True when at least one of the six limits is set. @public */
export function hasLimits(limits: ThrottleLimits): boolean {
  return BUCKET_NAMES.some((name) => (limits[name] ?? 0) > 0)
}

function shapeProblem(limits: ThrottleLimits): LimitsProblem | null {
  for (const [field, value] of Object.entries(limits)) {
    if (!KNOWN.has(field)) return { field, message: `Parameter '${field}' is unexpected` }
    if (value === undefined) continue
    if (!Number.isInteger(value)) return { field, message: `Parameter '${field}' expects an integer` }
    if (field.endsWith('-length') && (value < 0 || value > MAX_LENGTH)) {
      return { field, message: `${field} value must be in the range [0, ${MAX_LENGTH}]` }
    }
  }
  return null
}

function conflictProblem(limits: ThrottleLimits): LimitsProblem | null {
  for (const unit of ['bps', 'iops'] as const) {
    for (const suffix of ['', '-max'] as const) {
      const field = `${unit}-total${suffix}` as const
      if (isSet(limits[field]) && (isSet(limits[`${unit}-read${suffix}`]) || isSet(limits[`${unit}-write${suffix}`]))) {
        return {
          field,
          message: 'bps/iops/max total values and read/write values cannot be used at the same time',
        }
      }
    }
  }
  return null
}

function sizeProblem(limits: ThrottleLimits): LimitsProblem | null {
  const size = limits['iops-size'] ?? 0
  if (size < 0) return { field: 'iops-size', message: 'Property values cannot be negative' }
  if (size > 0 && !isSet(limits['iops-total']) && !isSet(limits['iops-read']) && !isSet(limits['iops-write'])) {
    return { field: 'iops-size', message: 'iops size requires an iops value to be set' }
  }
  return null
}

function bucketsProblem(limits: ThrottleLimits): LimitsProblem | null {
  for (const name of BUCKET_NAMES) {
    const average = limits[name] ?? 0
    const max = limits[`${name}-max`] ?? 0
    const length = limits[`${name}-max-length`] ?? 1
    for (const [field, value] of [[name, average], [`${name}-max`, max]] as const) {
      if (value < 0 || value > THROTTLE_VALUE_MAX) {
        return { field, message: `bps/iops/max values must be within [0, ${THROTTLE_VALUE_MAX}]` }
      }
    }
    if (length === 0) return { field: `${name}-max-length`, message: 'the burst length cannot be 0' }
    if (length > 1 && max === 0) {
      return { field: `${name}-max-length`, message: 'burst length set without burst rate' }
    }
    if (max * length > THROTTLE_VALUE_MAX) {
      return { field: `${name}-max-length`, message: 'burst length too high for this burst rate' }
    }
    if (max > 0 && average === 0) {
      return { field: `${name}-max`, message: 'bps_max/iops_max require corresponding bps/iops values' }
    }
    if (max > 0 && max < average) {
      return { field: `${name}-max`, message: 'bps_max/iops_max cannot be lower than bps/iops' }
    }
  }
  return null
}

function isSet(value: number | undefined): boolean {
  return value !== undefined && value !== 0
}
