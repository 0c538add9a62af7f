import { BlockError, type ChildHandle } from '@blockloom/block-driver'
import type { Codec } from '@blockloom/driver-kit/codecs'
import { CoSemaphore } from '@blockloom/coroutine-scheduler'
import { SPAN_BYTES, spansOf, type PackedCluster, type Span } from './compressed-spans.ts'
import { compressedLength, compressedOffset, isUsableCompressedOffset } from './on-disk/l2-compressed.ts'
import { settle, settleAll } from './settle.ts'
import type { Geometry } from './units.ts'

/** Decompressed clusters that are kept: enough for a few sequential readers with small requests. */
const KEPT_BYTES = 4 * 1024 * 1024
/** Single clusters, or spans of them, that are being decompressed at the same time. */
const PARALLEL = 8
const PARALLEL_SPANS = 4

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
  readonly #spanSlots = new CoSemaphore(PARALLEL_SPANS)
  /** For spans, as many as are read at the same time. */
  readonly #spanBuffers: Uint8Array[] = []
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

  /**
   * Fills whole clusters. What lies side by side in the file is read at once.
   *
   * @throws BlockError as {@link CompressedReader.read}, the first of several; none is under way any more then
   */
  async readAll(clusters: readonly PackedCluster[]): Promise<void> {
    const spans = spansOf(this.#geometry, clusters, behindTheEnd)
    await settleAll(spans.map((span) => settle(this.#readSpan(span))))
  }

  async #readSpan(span: Span): Promise<void> {
    using _slot = this.#spanSlots.tryAcquire() ?? (await this.#spanSlots.acquire())
    const buffer = span.bytes > SPAN_BYTES ? new Uint8Array(span.bytes) : (this.#spanBuffers.pop() ?? spanBuffer())
    try {
      const packed = buffer.subarray(0, span.bytes)
      await this.#file.read(span.offset, packed)
      if (this.#codec.decompressAll !== undefined) await this.#codec.decompressAll(packed, span.clusters)
      else await settleAll(span.clusters.map(({ at, bytes, into }) => settle(this.#codec.decompress(packed.subarray(at, at + bytes), into))))
    } finally {
      if (buffer.length === SPAN_BYTES) this.#spanBuffers.push(buffer)
    }
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
    if (!isUsableCompressedOffset(offset)) behindTheEnd(offset)
    const packed = new Uint8Array(compressedLength(this.#geometry, hi, lo))
    await this.#file.read(offset, packed)
    await this.#codec.decompress(packed, into)
  }
}

/** At the start of a cache line where allocators put large blocks 16 bytes behind a page: the host reads into that twice as fast. */
function spanBuffer(): Uint8Array {
  return new Uint8Array(new ArrayBuffer(SPAN_BYTES + 64), 48, SPAN_BYTES)
}

function behindTheEnd(offset: number): never {
  throw new BlockError('io', `Compressed cluster at offset ${offset} is behind the end of the image file`)
}
