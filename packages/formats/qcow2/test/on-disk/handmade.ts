import { viewOf } from '../../src/on-disk/integers.ts'

/** One header extension for {@link handmadeHeader}; `length` overrides the honest one. */
export interface RawExtension {
  readonly type: number
  readonly data: Uint8Array
  readonly length?: number
}

/**
 * A header cluster laid out by hand from the specification, independent of the encoder under test: 64 KiB clusters,
 * 64 MiB disk, L1 at 0x30000, refcount table at 0x10000.
 */
export function handmadeHeader(version: 2 | 3 = 3): Uint8Array {
  const bytes = new Uint8Array(65536)
  const view = viewOf(bytes)
  bytes.set([0x51, 0x46, 0x49, 0xfb])
  view.setUint32(4, version)
  view.setUint32(20, 16)
  view.setUint32(28, 64 * 1024 * 1024)
  view.setUint32(36, 1)
  view.setUint32(44, 0x30000)
  view.setUint32(52, 0x10000)
  view.setUint32(56, 1)
  if (version === 3) {
    view.setUint32(96, 4)
    view.setUint32(100, 112)
  }
  return bytes
}

/** A copy with a 32-bit field changed. */
export function withU32(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = bytes.slice()
  viewOf(copy).setUint32(at, value)
  return copy
}

/** A copy with a 64-bit field changed. */
export function withU64(bytes: Uint8Array, at: number, value: bigint): Uint8Array {
  const copy = bytes.slice()
  viewOf(copy).setBigUint64(at, value)
  return copy
}

/** A copy with extensions written from byte 112 on. */
export function withExtensions(bytes: Uint8Array, ...extensions: readonly RawExtension[]): Uint8Array {
  const copy = bytes.slice()
  const view = viewOf(copy)
  let at = 112
  for (const { type, data, length } of extensions) {
    view.setUint32(at, type)
    view.setUint32(at + 4, length ?? data.length)
    copy.set(data, at + 8)
    at += 8 + Math.ceil(data.length / 8) * 8
  }
  return copy
}

/** Big-endian 32- and 64-bit words in a row: numbers are 32 bits, bigints 64. */
export function words(...values: readonly (number | bigint)[]): Uint8Array {
  const bytes = new Uint8Array(values.reduce<number>((sum, value) => sum + (typeof value === 'bigint' ? 8 : 4), 0))
  const view = viewOf(bytes)
  let at = 0
  for (const value of values) {
    if (typeof value === 'bigint') view.setBigUint64(at, value)
    else view.setUint32(at, value)
    at += typeof value === 'bigint' ? 8 : 4
  }
  return bytes
}

/** An entry of a feature name table. */
export function featureName(type: number, bit: number, name: string): Uint8Array {
  const bytes = new Uint8Array(48)
  bytes[0] = type
  bytes[1] = bit
  bytes.set(new TextEncoder().encode(name), 2)
  return bytes
}
