import { decodeHeaderArea } from '../../src/on-disk/header-area.ts'
import { viewOf } from '../../src/on-disk/integers.ts'

/** Byte offsets of the header's fields. Specification, "Header". */
export const FIELD = {
  version: 4,
  backingOffset: 8,
  backingSize: 16,
  clusterBits: 20,
  size: 24,
  crypt: 32,
  l1Size: 36,
  l1Offset: 40,
  refcountTableOffset: 48,
  refcountTableClusters: 56,
  snapshots: 60,
  snapshotsOffset: 64,
  incompatible: 72,
  compatible: 80,
  autoclear: 88,
  refcountOrder: 96,
  headerLength: 100,
  compressionType: 104,
} as const

/** A copy of a valid image, and where things are in it. */
export class Handle {
  bytes: Uint8Array
  readonly clusterSize: number
  readonly entrySize: number
  readonly l1: number
  /** The first L2 table. */
  readonly l2: number
  readonly refcountTable: number
  readonly refcountBlock: number
  readonly snapshotTable: number
  readonly headerLength: number

  constructor(image: Uint8Array) {
    this.bytes = image.slice()
    const { header, geometry } = decodeHeaderArea(this.bytes)
    this.clusterSize = geometry.clusterSize
    this.entrySize = geometry.l2EntrySize
    this.l1 = header.l1Offset
    this.refcountTable = header.refcountTableOffset
    this.snapshotTable = header.snapshotTableOffset
    this.headerLength = header.headerLength
    this.l2 = Number(this.u64(this.l1) & OFFSET)
    this.refcountBlock = Number(this.u64(this.refcountTable))
  }

  u64(at: number): bigint {
    return viewOf(this.bytes).getBigUint64(at)
  }

  set32(at: number, value: number): void {
    viewOf(this.bytes).setUint32(at, value)
  }

  set64(at: number, value: bigint | number): void {
    viewOf(this.bytes).setBigUint64(at, BigInt(value))
  }

  /** Changes L2 entry `index`. */
  entry(index: number, value: bigint | number): void {
    this.set64(this.l2 + index * this.entrySize, value)
  }

  /** What L2 entry `index` is. */
  entryOf(index: number): bigint {
    return this.u64(this.l2 + index * this.entrySize)
  }

  /** Puts bytes somewhere; the file grows. */
  put(at: number, data: Uint8Array): void {
    this.resize(Math.max(this.bytes.length, at + data.length))
    this.bytes.set(data, at)
  }

  resize(size: number): void {
    const bytes = new Uint8Array(size)
    bytes.set(this.bytes.subarray(0, size))
    this.bytes = bytes
  }

  /** A new cluster at the end of the file. */
  append(data: Uint8Array): number {
    const at = Math.ceil(this.bytes.length / this.clusterSize) * this.clusterSize
    this.put(at, data)
    return at
  }

  /** Replaces the header extensions by raw words: type, length, data, … */
  extensions(...parts: readonly (number | Uint8Array)[]): void {
    this.bytes.fill(0, this.headerLength, this.clusterSize)
    let at = this.headerLength
    for (const part of parts) {
      if (typeof part === 'number') {
        this.set32(at, part)
        at += 4
      } else {
        this.bytes.set(part, at)
        at += Math.ceil(part.length / 8) * 8
      }
    }
  }

  /** Stores compressed data as guest cluster `index`, described as it is or as `sectors` more sectors. */
  compressed(index: number, data: Uint8Array, sectors = Math.ceil(data.length / 512) - 1): void {
    const at = this.append(data)
    this.resize(Math.ceil(this.bytes.length / 512) * 512)
    const offsetBits = 62n - (BigInt(Math.log2(this.clusterSize)) - 8n)
    this.entry(index, COMPRESSED | (BigInt(sectors) << offsetBits) | BigInt(at))
    if (this.entrySize === 16) this.set64(this.l2 + index * 16 + 8, 0)
  }
}

export const COPIED = 1n << 63n
export const COMPRESSED = 1n << 62n
const OFFSET = 0x00ff_ffff_ffff_fe00n
