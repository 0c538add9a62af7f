/** The largest granularity: 2 GiB, as the largest that image formats store. @internal */
export const MAX_GRANULARITY = 2 ** 31

/** Throws a RangeError unless `value` is a whole number of bytes from 0 to 2^53 - 1. @internal */
export function checkBytes(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`${name} must be an integer from 0 to ${Number.MAX_SAFE_INTEGER}, not ${String(value)}`)
  }
}

/** Throws a RangeError unless `[offset, offset + bytes)` lies within `size`. @internal */
export function checkRange(offset: number, bytes: number, size: number): void {
  checkBytes('offset', offset)
  checkBytes('bytes', bytes)
  if (offset > size || bytes > size - offset) {
    throw new RangeError(`offset ${offset} and bytes ${bytes} reach beyond the bitmap's size of ${size}`)
  }
}

/** Throws a RangeError unless `value` is a power of two from 1 to {@link MAX_GRANULARITY}. @internal */
export function checkGranularity(value: number): void {
  let power = 1
  while (power < value && power < MAX_GRANULARITY) power *= 2
  if (power !== value) {
    throw new RangeError(`granularity must be a power of two from 1 to ${MAX_GRANULARITY}, not ${String(value)}`)
  }
}
