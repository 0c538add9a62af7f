import { BlockError, type ChildHandle } from '@blockloom/block-driver'
import type { Codec } from '@blockloom/driver-kit/codecs'
import { CoSemaphore } from '@blockloom/coroutine-scheduler'
import { compressedLength, compressedOffset, isUsableCompressedOffset } from './on-disk/l2-compressed.ts'
import type { Geometry } from './units.ts'

/** Decompressed clusters that are kept: enough for a few sequential readers with small requests. */
const KEPT_BYTES = 4 * 1024 * 1024
/** Clusters that are being decompressed at the same time. */
const PARALLEL = 8

/**
 * Reads compressed clusters.
 *
 * The last few decompressed clusters are kept, so that small sequential reads decompress each cluster once. Who frees
 * a compressed cluster calls {@link forget} before its place can be used again.
 *
 * @internal
 */
export class CompressedReader {
  readonly #geometry: Geometry
  readonly #file: ChildHandle
  readonly #codec: Codec
  readonly #slots = new CoSemaphore(PARALLEL)
  /** By host offset of the compressed data, least recently used first. */
  readonly #kept = new Map<number, Promise<Uint8Array>>()
  readonly #maxKept: number

  constructor(geometry: Geometry, file: ChildHandle, codec: Codec) {
    this.#geometry = geometry
    this.#file = file
    this.#codec = codec
    this.#maxKept = Math.max(2, Math.min(64, Math.floor(KEPT_BYTES / geometry.clusterSize)))
  }

  /**
   * Fills `into` from `inCluster` on with the cluster that descriptor (`hi`, `lo`) describes.
   *
   * @throws BlockError `io` if the compressed data is damaged, truncated or behind the end of the file
   */
  async read(hi: number, lo: number, inCluster: number, into: Uint8Array): Promise<void> {
    const offset = compressedOffset(this.#geometry, hi, lo)
    const kept = this.#kept.get(offset)
    if (kept === undefined && into.length === this.#geometry.clusterSize) {
      await this.#decompress(hi, lo, into)
      return
    }
    const cluster = await (kept ?? this.#keep(offset, hi, lo))
    if (kept !== undefined && this.#kept.delete(offset)) this.#kept.set(offset, kept)
    into.set(cluster.subarray(inCluster, inCluster + into.length))
  }

  /** The compressed cluster at `offset` is not in use any more. */
  forget(offset: number): void {
    this.#kept.delete(offset)
  }

  /** None of the compressed clusters read so far is known to be in use. */
  forgetAll(): void {
    this.#kept.clear()
  }

  #keep(offset: number, hi: number, lo: number): Promise<Uint8Array> {
    const cluster = new Uint8Array(this.#geometry.clusterSize)
    const loading = this.#decompress(hi, lo, cluster).then(
      () => cluster,
      (error: unknown) => {
        if (this.#kept.get(offset) === loading) this.#kept.delete(offset)
        throw error
      },
    )
    this.#kept.set(offset, loading)
    if (this.#kept.size > this.#maxKept) this.#kept.delete(this.#kept.keys().next().value!)
    return loading
  }

  async #decompress(hi: number, lo: number, into: Uint8Array): Promise<void> {
    using _slot = this.#slots.tryAcquire() ?? (await this.#slots.acquire())
    const offset = compressedOffset(this.#geometry, hi, lo)
    if (!isUsableCompressedOffset(offset)) {
      throw new BlockError('io', `Compressed cluster at offset ${offset} is behind the end of the image file`)
    }
    const packed = new Uint8Array(compressedLength(this.#geometry, hi, lo))
    await this.#file.read(offset, packed)
    await this.#codec.decompress(packed, into)
  }
}
