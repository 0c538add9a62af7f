/**
 * The smallest multiple of `unit` that is not below `value`. Any positive unit, not only powers of two.
 *
 * Exact for safe integers; the result is above them only if `value` is closer to 2^53 than `unit`.
 *
 * @public
 */
export function alignUp(value: number, unit: number): number {
  const rest = value % unit
  return rest === 0 ? value : value + (unit - rest)
}

/** The largest multiple of `unit` that is not above `value`; both non-negative safe integers. @public */
export function alignDown(value: number, unit: number): number {
  return value - (value % unit)
}

/** True for 1, 2, 4, … 2^52. @public */
export function isPowerOfTwo(value: number): boolean {
  if (!Number.isSafeInteger(value) || value <= 0) return false
  // Bit operations see 32 bits only.
  const high = Math.floor(value / 0x1_0000_0000)
  const low = value % 0x1_0000_0000
  return high === 0 ? (low & (low - 1)) === 0 : low === 0 && (high & (high - 1)) === 0
}
