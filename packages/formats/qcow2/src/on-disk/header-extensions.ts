import { BlockError } from '@blockloom/block-driver'
import { hostOffset, type HostOffset } from '../units.ts'
import { decodeFeatureNames, encodeFeatureNames, FEATURE_NAME_TABLE, type FeatureName } from './feature-names.ts'
import type { EncryptionMethod } from './header.ts'
import { readU64, readU64Rounded, viewOf, writeU32, writeU64 } from './integers.ts'
import * as limits from './limits.ts'
import { malformed } from './malformed.ts'
import { decodeTerminatedName, encodeName } from './names.ts'

/** Header extension types. Spec, "Header extensions". @internal */
export const EXTENSION = Object.freeze({
  end: 0,
  backingFormat: 0xe2792aca,
  featureNames: FEATURE_NAME_TABLE,
  bitmaps: 0x23852875,
  encryption: 0x0537be77,
  dataFile: 0x44415441,
})

/** Where the bitmap directory is. Spec, "Bitmaps extension". @internal */
export interface BitmapsExtension {
  /** 1 to 65535. */
  readonly count: number
  /** Bytes, 1 to `MAX_BITMAP_DIRECTORY_BYTES`. */
  readonly directorySize: number
  /** Cluster-aligned, not 0. */
  readonly directoryOffset: HostOffset
}

/** Where the encryption header is. Spec, "Full disk encryption header pointer". @internal */
export interface EncryptionPointer {
  /** Cluster-aligned. */
  readonly offset: HostOffset
  /** Bytes written; not limited by anything but 2^53. */
  readonly length: number
}

/** An extension that we do not know, byte for byte. @internal */
export interface UnknownExtension {
  readonly type: number
  readonly data: Uint8Array
}

/** The header extensions, each known type at most once. Immutable. @internal */
export interface HeaderExtensions {
  readonly backingFormat: string | null
  /** Name of the external data file. Only used if the feature bit is set, but kept anyway. */
  readonly dataFile: string | null
  /** Present if and only if the encryption method is `luks`. */
  readonly encryption: EncryptionPointer | null
  readonly featureNames: readonly FeatureName[] | null
  /** Null also if the extension is there but the autoclear bit says it is stale. */
  readonly bitmaps: BitmapsExtension | null
  /** In the order of the image. */
  readonly unknown: readonly UnknownExtension[]
}

/** No extension at all. @internal */
export const NO_EXTENSIONS: HeaderExtensions = Object.freeze({
  backingFormat: null,
  dataFile: null,
  encryption: null,
  featureNames: null,
  bitmaps: null,
  unknown: Object.freeze([]),
})

/** What decoding the extensions found besides them. @internal */
export interface DecodedExtensions {
  readonly extensions: HeaderExtensions
  /** A bitmaps extension that another program made inconsistent: its clusters are leaked. */
  readonly staleBitmaps: boolean
}

/**
 * Decodes the header extensions from `start` to `end` in the header cluster.
 *
 * If a type appears twice, the last one counts, as in QEMU. Memory is bounded by the header cluster.
 *
 * @throws BlockError `corrupt` that names the extension.
 * @internal
 */
export function decodeExtensions(
  bytes: Uint8Array,
  start: number,
  end: number,
  context: { readonly encryption: EncryptionMethod; readonly bitmapsConsistent: boolean; readonly clusterSize: number },
): DecodedExtensions {
  const view = viewOf(bytes)
  const unknown: UnknownExtension[] = []
  const found: { -readonly [K in keyof HeaderExtensions]: HeaderExtensions[K] } = { ...NO_EXTENSIONS, unknown }
  let staleBitmaps = false
  for (let at = start; at < end; ) {
    if (at + 8 > end || view.getUint32(at + 4) > end - at - 8) {
      throw malformed('header extensions', 'Header extension too large')
    }
    const type = view.getUint32(at)
    const length = view.getUint32(at + 4)
    const data = bytes.subarray(at + 8, at + 8 + length)
    if (type === EXTENSION.end) break
    if (type === EXTENSION.backingFormat) found.backingFormat = decodeBackingFormat(data)
    else if (type === EXTENSION.dataFile) found.dataFile = decodeTerminatedName(data)
    else if (type === EXTENSION.featureNames) found.featureNames = decodeFeatureNames(data)
    else if (type === EXTENSION.encryption) found.encryption = decodeEncryption(data, context)
    else if (type === EXTENSION.bitmaps) {
      found.bitmaps = decodeBitmaps(data, context)
      staleBitmaps = found.bitmaps === null
    } else unknown.push({ type, data: data.slice() })
    at += 8 + Math.ceil(length / 8) * 8
  }
  if (context.encryption === 'luks' && found.encryption === null) {
    throw malformed('crypt_method', 'Missing CRYPTO header for crypt method 2')
  }
  return { extensions: found, staleBitmaps }
}

function decodeBackingFormat(data: Uint8Array): string {
  if (data.length > limits.MAX_BACKING_FORMAT_BYTES) {
    throw malformed('backing format', `ERROR: ext_backing_format: len=${data.length} too large (>=16)`)
  }
  return decodeTerminatedName(data)
}

function decodeEncryption(
  data: Uint8Array,
  context: { readonly encryption: EncryptionMethod; readonly clusterSize: number },
): EncryptionPointer {
  const field = 'encryption header'
  if (context.encryption !== 'luks') {
    throw malformed(field, 'CRYPTO header extension only expected with LUKS encryption method')
  }
  if (data.length !== 16) {
    throw malformed(field, `CRYPTO header extension size ${data.length}, but expected size 16`)
  }
  const offset = readU64(viewOf(data), 0, 'encryption header offset')
  if (offset % context.clusterSize !== 0) {
    const size = context.clusterSize
    throw malformed(field, `Encryption header offset '${offset}' is not a multiple of cluster size '${size}'`)
  }
  if (offset > limits.MAX_HOST_OFFSET) throw malformed(field, `Encryption header offset '${offset}' is invalid`)
  return { offset: hostOffset(offset), length: readU64(viewOf(data), 8, 'encryption header length') }
}

function decodeBitmaps(
  data: Uint8Array,
  context: { readonly bitmapsConsistent: boolean; readonly clusterSize: number },
): BitmapsExtension | null {
  const field = 'bitmaps'
  if (data.length !== 24) throw malformed(field, 'bitmaps_ext: Invalid extension length')
  // "If the bitmaps extension is present but this bit is unset, the bitmaps extension data must be considered
  // inconsistent."
  if (!context.bitmapsConsistent) return null
  const view = viewOf(data)
  const count = view.getUint32(0)
  const directorySize = readU64Rounded(view, 8)
  const directoryOffset = readU64Rounded(view, 16)
  if (view.getUint32(4) !== 0) throw malformed(field, 'bitmaps_ext: Reserved field is not zero')
  if (count > limits.MAX_BITMAPS) {
    throw malformed(
      field,
      `bitmaps_ext: Image has ${count} bitmaps, exceeding the QEMU supported maximum of ${limits.MAX_BITMAPS}`,
    )
  }
  if (count === 0) throw malformed(field, 'found bitmaps extension with zero bitmaps')
  const aligned = directoryOffset % context.clusterSize === 0
  if (directoryOffset === 0 || !aligned || directoryOffset > limits.MAX_HOST_OFFSET) {
    throw malformed(field, 'bitmaps_ext: invalid bitmap directory offset')
  }
  if (directorySize > limits.MAX_BITMAP_DIRECTORY_BYTES) {
    const size = `${view.getBigUint64(8)}`
    const max = limits.MAX_BITMAP_DIRECTORY_BYTES
    throw malformed(field, `bitmaps_ext: bitmap directory size (${size}) exceeds the maximum supported size (${max})`)
  }
  if (directorySize === 0) throw malformed(field, 'Requested bitmap directory size is zero')
  return { count, directorySize, directoryOffset: hostOffset(directoryOffset) }
}

/**
 * Encodes the extensions with their end marker, each padded with zeroes to a multiple of 8.
 *
 * Order as qemu-img 7.2 writes them: backing format, data file, encryption, feature names, bitmaps, unknown ones.
 *
 * @throws BlockError `invalid`, if the backing format name is longer than 15 bytes.
 * @internal
 */
export function encodeExtensions(extensions: HeaderExtensions): Uint8Array {
  const parts: UnknownExtension[] = []
  if (extensions.backingFormat !== null) {
    parts.push({ type: EXTENSION.backingFormat, data: encodeBackingFormat(extensions.backingFormat) })
  }
  if (extensions.dataFile !== null) parts.push({ type: EXTENSION.dataFile, data: encodeName(extensions.dataFile) })
  if (extensions.encryption !== null) {
    parts.push({ type: EXTENSION.encryption, data: encodeEncryption(extensions.encryption) })
  }
  if (extensions.featureNames !== null) {
    parts.push({ type: EXTENSION.featureNames, data: encodeFeatureNames(extensions.featureNames) })
  }
  if (extensions.bitmaps !== null) parts.push({ type: EXTENSION.bitmaps, data: encodeBitmaps(extensions.bitmaps) })
  parts.push(...extensions.unknown)

  const padded = (length: number): number => 8 + Math.ceil(length / 8) * 8
  const out = new Uint8Array(parts.reduce((sum, part) => sum + padded(part.data.length), 8))
  const view = viewOf(out)
  let at = 0
  for (const { type, data } of parts) {
    writeU32(view, at, type, 'header extension type')
    view.setUint32(at + 4, data.length)
    out.set(data, at + 8)
    at += padded(data.length)
  }
  return out
}

function encodeBackingFormat(format: string): Uint8Array {
  const data = encodeName(format)
  if (data.length > limits.MAX_BACKING_FORMAT_BYTES) {
    throw new BlockError('invalid', 'Backing file format name too long', { detail: { field: 'backing format' } })
  }
  return data
}

function encodeEncryption(pointer: EncryptionPointer): Uint8Array {
  const data = new Uint8Array(16)
  writeU64(viewOf(data), 0, pointer.offset, 'encryption header offset')
  writeU64(viewOf(data), 8, pointer.length, 'encryption header length')
  return data
}

function encodeBitmaps(bitmaps: BitmapsExtension): Uint8Array {
  const data = new Uint8Array(24)
  const view = viewOf(data)
  writeU32(view, 0, bitmaps.count, 'nb_bitmaps')
  writeU64(view, 8, bitmaps.directorySize, 'bitmap_directory_size')
  writeU64(view, 16, bitmaps.directoryOffset, 'bitmap_directory_offset')
  return data
}
