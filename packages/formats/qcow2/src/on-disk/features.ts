import { hasBit, withoutBit, type FeatureBits } from './integers.ts'

// Source: qcow2 specification, "Header": incompatible_features, compatible_features, autoclear_features.

/**
 * The feature bits of a header by name.
 *
 * The incompatible bit "compression type" has no member: it is set if and only if the compression type is not
 * zlib, and the encoder derives it.
 *
 * @internal
 */
export interface Features {
  /** Incompatible bit 0: refcounts may be wrong; repair them before writing. */
  readonly dirty: boolean
  /** Incompatible bit 1: any structure may be wrong; do not write except to repair. */
  readonly corrupt: boolean
  /** Incompatible bit 2: guest clusters are in an external data file. */
  readonly externalData: boolean
  /** Incompatible bit 4: L2 entries of 16 bytes with subclusters. */
  readonly extendedL2: boolean
  /** Compatible bit 0: refcount updates may be postponed behind the dirty bit. */
  readonly lazyRefcounts: boolean
  /** Autoclear bit 0: the bitmaps extension is consistent. */
  readonly bitmaps: boolean
  /** Autoclear bit 1: the external data file can be read as a raw image. */
  readonly rawExternalData: boolean
}

/** A new image's features: none. @internal */
export const NO_FEATURES: Features = Object.freeze({
  dirty: false,
  corrupt: false,
  externalData: false,
  extendedL2: false,
  lazyRefcounts: false,
  bitmaps: false,
  rawExternalData: false,
})

/** Bit numbers in the three feature fields. @internal */
export const FEATURE_BIT = Object.freeze({
  incompatible: Object.freeze({ dirty: 0, corrupt: 1, externalData: 2, compressionType: 3, extendedL2: 4 }),
  compatible: Object.freeze({ lazyRefcounts: 0 }),
  autoclear: Object.freeze({ bitmaps: 0, rawExternalData: 1 }),
})

/** The three fields as they are on disk. @internal */
export interface FeatureFields {
  readonly incompatible: FeatureBits
  readonly compatible: FeatureBits
  readonly autoclear: FeatureBits
}

/** Which bits of the fields this implementation does not know. @internal */
export function unknownFeatures(fields: FeatureFields): FeatureFields {
  return {
    incompatible: without(fields.incompatible, Object.values(FEATURE_BIT.incompatible)),
    compatible: without(fields.compatible, Object.values(FEATURE_BIT.compatible)),
    autoclear: without(fields.autoclear, Object.values(FEATURE_BIT.autoclear)),
  }
}

/** The known bits by name. @internal */
export function namedFeatures(fields: FeatureFields): Features {
  const { incompatible, compatible, autoclear } = FEATURE_BIT
  return {
    dirty: hasBit(fields.incompatible, incompatible.dirty),
    corrupt: hasBit(fields.incompatible, incompatible.corrupt),
    externalData: hasBit(fields.incompatible, incompatible.externalData),
    extendedL2: hasBit(fields.incompatible, incompatible.extendedL2),
    lazyRefcounts: hasBit(fields.compatible, compatible.lazyRefcounts),
    bitmaps: hasBit(fields.autoclear, autoclear.bitmaps),
    rawExternalData: hasBit(fields.autoclear, autoclear.rawExternalData),
  }
}

/** The fields to write: named bits, the derived compression bit, and unknown bits that are kept. @internal */
export function featureFields(
  features: Features,
  nonDefaultCompression: boolean,
  keep: { readonly compatible: FeatureBits; readonly autoclear: FeatureBits },
): FeatureFields {
  const { incompatible, compatible, autoclear } = FEATURE_BIT
  const set = (bit: number, on: boolean): number => (on ? 2 ** bit : 0)
  return {
    incompatible: {
      hi: 0,
      lo:
        set(incompatible.dirty, features.dirty) +
        set(incompatible.corrupt, features.corrupt) +
        set(incompatible.externalData, features.externalData) +
        set(incompatible.compressionType, nonDefaultCompression) +
        set(incompatible.extendedL2, features.extendedL2),
    },
    compatible: {
      hi: keep.compatible.hi,
      lo: (keep.compatible.lo | set(compatible.lazyRefcounts, features.lazyRefcounts)) >>> 0,
    },
    autoclear: {
      hi: keep.autoclear.hi,
      lo:
        (keep.autoclear.lo |
          set(autoclear.bitmaps, features.bitmaps) |
          set(autoclear.rawExternalData, features.rawExternalData)) >>>
        0,
    },
  }
}

function without(bits: FeatureBits, known: readonly number[]): FeatureBits {
  return known.reduce(withoutBit, bits)
}
