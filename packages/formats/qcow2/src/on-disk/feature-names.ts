import { hasBit, hexOf, isEmpty, viewOf, withoutBit, type FeatureBits } from './integers.ts'
import { decodeTerminatedName, encodeName, printableName } from './names.ts'

/** Header extension type of the feature name table. Spec, "Header extensions". @internal */
export const FEATURE_NAME_TABLE = 0x6803f857

/** Bytes of an entry of the table: type, bit, 46 bytes of name. Spec, "Feature name table". @internal */
export const FEATURE_NAME_SIZE = 48

/** An entry of the feature name table. @internal */
export interface FeatureName {
  /** 0 incompatible, 1 compatible, 2 autoclear; others are kept. */
  readonly type: number
  /** Bit number in that field, 0 to 63; others are kept. */
  readonly bit: number
  /** At most 46 bytes of UTF-8. */
  readonly name: string
}

const names: readonly (readonly [type: number, bit: number, name: string])[] = [
  [0, 0, 'dirty bit'],
  [0, 1, 'corrupt bit'],
  [0, 2, 'external data file'],
  [0, 3, 'compression type'],
  [0, 4, 'extended L2 entries'],
  [1, 0, 'lazy refcounts'],
  [2, 0, 'bitmaps'],
  [2, 1, 'raw external data'],
]

/** The features that we know; names and order of qemu-img 7.2. @internal */
export const DEFAULT_FEATURE_NAMES: readonly FeatureName[] = Object.freeze(
  names.map(([type, bit, name]) => Object.freeze({ type, bit, name })),
)

/**
 * The table that a new image gets, or null: version 2 has none, and in clusters up to 4 KiB it would leave too
 * little room for the backing file name. Source: what qemu-img 7.2 writes.
 *
 * @internal
 */
export function defaultFeatureNames(version: 2 | 3, clusterBits: number): readonly FeatureName[] | null {
  return version === 3 && clusterBits > 12 ? DEFAULT_FEATURE_NAMES : null
}

/** Decodes the data of the extension; an incomplete last entry counts as padded with zeroes. @internal */
export function decodeFeatureNames(data: Uint8Array): FeatureName[] {
  const table: FeatureName[] = []
  for (let at = 0; at < data.length; at += FEATURE_NAME_SIZE) {
    const name = decodeTerminatedName(data.subarray(at + 2, at + FEATURE_NAME_SIZE))
    table.push({ type: data[at]!, bit: data[at + 1] ?? 0, name })
  }
  return table
}

/** Encodes the data of the extension. A name longer than 46 bytes is cut. @internal */
export function encodeFeatureNames(table: readonly FeatureName[]): Uint8Array {
  const data = new Uint8Array(table.length * FEATURE_NAME_SIZE)
  table.forEach((entry, index) => {
    const at = index * FEATURE_NAME_SIZE
    data[at] = entry.type
    data[at + 1] = entry.bit
    data.set(encodeName(entry.name).subarray(0, FEATURE_NAME_SIZE - 2), at + 2)
  })
  return data
}

/**
 * Finds the feature name table for an error message: extensions from `start` to `end` in the header cluster.
 *
 * Tolerant: a malformed extension ends the search; the last table wins.
 *
 * @internal
 */
export function findFeatureNames(bytes: Uint8Array, start: number, end: number): readonly FeatureName[] {
  const view = viewOf(bytes)
  let found: readonly FeatureName[] = []
  let at = start
  while (at + 8 <= end) {
    const type = view.getUint32(at)
    const length = view.getUint32(at + 4)
    if (type === 0 || length > end - at - 8) break
    if (type === FEATURE_NAME_TABLE) found = decodeFeatureNames(bytes.subarray(at + 8, at + 8 + length))
    at += 8 + Math.ceil(length / 8) * 8
  }
  return found
}

/** QEMU's message for unknown incompatible features, with the names that the image gives them. @internal */
export function describeUnknownFeatures(unknown: FeatureBits, table: readonly FeatureName[]): string {
  const parts: string[] = []
  let rest = unknown
  for (const { type, bit, name } of table) {
    if (type !== 0 || bit > 63 || name === '' || !hasBit(rest, bit)) continue
    parts.push(printableName(name))
    rest = withoutBit(rest, bit)
  }
  if (!isEmpty(rest)) parts.push(`Unknown incompatible feature: ${hexOf(rest)}`)
  return `Unsupported qcow2 feature(s): ${parts.join(', ')}`
}
