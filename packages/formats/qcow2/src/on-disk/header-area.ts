import { BlockError } from '@blockloom/block-driver'
import type { Geometry } from '../units.ts'
import { decodeHeader, readClusterSize, type DecodeOptions } from './header-decode.ts'
import { decodeExtensions, encodeExtensions, EXTENSION, type HeaderExtensions } from './header-extensions.ts'
import { encodedHeaderLength, encodeHeader } from './header-encode.ts'
import type { Header } from './header.ts'
import { readU64Rounded, viewOf } from './integers.ts'
import { MAX_BACKING_NAME_BYTES, V2_HEADER_LENGTH } from './limits.ts'
import { malformed } from './malformed.ts'
import { decodeTerminatedName, encodeName } from './names.ts'

/** Everything in the first cluster of an image. Immutable. @internal */
export interface HeaderArea {
  readonly header: Header
  readonly extensions: HeaderExtensions
  /** As the image has it, relative or absolute; null if there is none. */
  readonly backingFile: string | null
}

/** A decoded header area and what follows from it. @internal */
export interface DecodedHeaderArea extends HeaderArea {
  readonly geometry: Geometry
  /** A bitmaps extension is there, but another program made it inconsistent. */
  readonly staleBitmaps: boolean
}

/**
 * Decodes the first cluster of an image.
 *
 * `bytes` is the first cluster ({@link readClusterSize}); fewer bytes, because the file is shorter, count as padded
 * with zeroes, more are ignored. Allocates at most a few times the cluster size (2 MiB).
 *
 * @throws BlockError that names the field, with QEMU's wording, in QEMU's order of checks.
 * @internal
 */
export function decodeHeaderArea(bytes: Uint8Array, options: DecodeOptions = {}): DecodedHeaderArea {
  const cluster = firstCluster(bytes)
  const { header, geometry, backingOffset, backingLength } = decodeHeader(cluster, options)
  // The extensions end where the backing file name starts.
  const end = backingOffset === 0 ? geometry.clusterSize : backingOffset
  const { extensions, staleBitmaps } = decodeExtensions(cluster, header.headerLength, end, {
    encryption: header.encryption,
    bitmapsConsistent: header.features.bitmaps,
    clusterSize: geometry.clusterSize,
  })
  const backingFile = backingOffset === 0 ? null : decodeBackingFile(cluster, backingOffset, backingLength)
  return { header, extensions, backingFile, geometry, staleBitmaps }
}

/**
 * How many bytes from the start of a first cluster are in use: header, extensions and backing file name, whatever lies
 * between them. At most the length of `cluster`, whatever that holds.
 *
 * @internal
 */
export function usedHeaderBytes(cluster: Uint8Array): number {
  const view = viewOf(cluster)
  const header = view.getUint32(4) === 2 ? V2_HEADER_LENGTH : view.getUint32(100)
  const nameAt = readU64Rounded(view, 8)
  const nameEnd = nameAt === 0 ? 0 : nameAt + view.getUint32(16)
  const end = nameAt === 0 ? cluster.length : Math.min(nameAt, cluster.length)
  let at = header
  while (at + 8 <= end) {
    const type = view.getUint32(at)
    at += 8 + Math.ceil(view.getUint32(at + 4) / 8) * 8
    if (type === EXTENSION.end) break
  }
  return Math.min(cluster.length, Math.max(at, nameEnd))
}

function firstCluster(bytes: Uint8Array): Uint8Array {
  // A file shorter than its fixed header: the missing fields are zeroes, which a check then reports.
  const enough = bytes.length >= 112 ? bytes : zeroPadded(bytes, 112)
  const clusterSize = readClusterSize(enough)
  return bytes.length >= clusterSize ? bytes.subarray(0, clusterSize) : zeroPadded(bytes, clusterSize)
}

function zeroPadded(bytes: Uint8Array, length: number): Uint8Array {
  const padded = new Uint8Array(length)
  padded.set(bytes.subarray(0, length))
  return padded
}

function decodeBackingFile(cluster: Uint8Array, offset: number, length: number): string {
  if (length > Math.min(MAX_BACKING_NAME_BYTES, cluster.length - offset)) {
    throw malformed('backing_file_size', 'Backing file name too long')
  }
  return decodeTerminatedName(cluster.subarray(offset, offset + length))
}

/**
 * Lays out the first cluster: header, extensions, backing file name.
 *
 * The result is as long as what it holds; the rest of the cluster is zeroes or old bytes, which nothing points to.
 * The autoclear bit of the bitmaps extension is written only if the extension is present.
 *
 * @throws BlockError `invalid` (EINVAL), if the backing file or format name is too long by itself;
 *   `no-space` (ENOSPC), if the area does not fit into a cluster.
 * @internal
 */
export function layoutHeaderArea(area: HeaderArea): Uint8Array {
  const { extensions, backingFile } = area
  const features = { ...area.header.features, bitmaps: area.header.features.bitmaps && extensions.bitmaps !== null }
  const header: Header = { ...area.header, features }
  const encodedExtensions = encodeExtensions(extensions)
  const name = encodeName(backingFile ?? '')
  if (name.length > MAX_BACKING_NAME_BYTES) {
    throw new BlockError('invalid', 'Backing file name too long', { detail: { field: 'backing_file_size' } })
  }
  const headerLength = encodedHeaderLength(header)
  const nameAt = headerLength + encodedExtensions.length
  const bytes = new Uint8Array(nameAt + name.length)
  if (bytes.length > 2 ** header.clusterBits) {
    throw new BlockError('no-space', 'The header and its extensions do not fit into a cluster', {
      detail: { field: 'header extensions', bytes: bytes.length, clusterSize: 2 ** header.clusterBits },
    })
  }
  const backing = backingFile === null ? { offset: 0, length: 0 } : { offset: nameAt, length: name.length }
  bytes.set(encodeHeader(header, backing))
  bytes.set(encodedExtensions, headerLength)
  bytes.set(name, nameAt)
  return bytes
}
