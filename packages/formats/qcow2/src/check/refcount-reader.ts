import { isBlockError, type ChildHandle } from '@blockloom/block-driver'
import { viewOf } from '../on-disk/integers.ts'
import { MAX_HOST_OFFSET } from '../on-disk/limits.ts'
import { refcountCodec } from '../on-disk/refcount.ts'
import type { Geometry } from '../units.ts'

/** Refcount blocks are looked up in pieces of this many bytes. */
const PIECE = 512

/** The refcount table of an image, and single refcounts as they are in the file. @internal */
export class RefcountReader {
  /** All entries. */
  readonly table: DataView
  readonly entries: number
  readonly #file: ChildHandle
  readonly #geometry: Geometry
  #pieceAt = -1
  readonly #piece = new Uint8Array(PIECE)

  constructor(file: ChildHandle, geometry: Geometry, table: Uint8Array) {
    this.#file = file
    this.#geometry = geometry
    this.table = viewOf(table)
    this.entries = table.length / 8
  }

  /** Where refcount block `index` is; 0 if there is none. Reserved bits are ignored. */
  blockOffset(index: number): number {
    if (index >= this.entries) return 0
    return this.table.getUint32(index * 8) * 0x1_0000_0000 + ((this.table.getUint32(index * 8 + 4) & 0xffff_fe00) >>> 0)
  }

  /** The refcounts of a block cannot be told: it does not start at a cluster, or no file can be that large. */
  isUnreadable(index: number): boolean {
    return this.isMisaligned(index) || this.blockOffset(index) >= 2 ** 63
  }

  /** The block does not start at a cluster. */
  isMisaligned(index: number): boolean {
    if (index >= this.entries) return false
    return ((this.table.getUint32(index * 8 + 4) & 0xffff_fe00) >>> 0) % this.#geometry.clusterSize !== 0
  }

  /** The refcount of a cluster, which may be anywhere; null if it cannot be told. */
  async refcount(cluster: number): Promise<number | bigint | null> {
    const { refcountBlockEntries, refcountBits } = this.#geometry
    const index = Math.floor(cluster / refcountBlockEntries)
    const block = this.blockOffset(index)
    if (this.isUnreadable(index)) return null
    if (block === 0 || block > MAX_HOST_OFFSET) return 0
    const entry = cluster % refcountBlockEntries
    const perPiece = (PIECE * 8) / refcountBits
    const at = block + Math.floor(entry / perPiece) * PIECE
    if (at !== this.#pieceAt && !(await this.#read(at))) return null
    return exactRefcount(viewOf(this.#piece), entry % perPiece, this.#geometry)
  }

  /** Refcounts have changed in the file. */
  forget(): void {
    this.#pieceAt = -1
  }

  async #read(at: number): Promise<boolean> {
    this.#pieceAt = -1
    try {
      await this.#file.read(at, this.#piece)
    } catch (error) {
      if (isBlockError(error)) return false
      throw error
    }
    this.#pieceAt = at
    return true
  }
}

/** A refcount of a block, exact for 64-bit ones too. @internal */
export function exactRefcount(block: DataView, index: number, geometry: Geometry): number | bigint {
  if (geometry.refcountBits === 64) {
    const value = block.getBigUint64(index * 8)
    return value > Number.MAX_SAFE_INTEGER ? value : Number(value)
  }
  return refcountCodec(geometry.refcountBits).get(block, index)
}
