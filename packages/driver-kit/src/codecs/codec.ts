import { BlockError } from '@blockloom/block-driver'

/**
 * A compression method for single clusters. Calls are independent: many may run at the same time, and they use
 * several cores where the host allows it. Input buffers must stay unchanged until the promise settles.
 *
 * @public
 */
export interface Codec {
  readonly name: 'zlib' | 'zstd'
  /**
   * Compresses all of `from`.
   *
   * @returns the compressed bytes, at most `maxBytes`, or `null` if they do not fit: store the data as it is
   * @throws BlockError `unsupported` if this host cannot compress this way
   */
  compress(from: Uint8Array, maxBytes: number): Promise<Uint8Array | null>
  /**
   * Fills `into` exactly. Bytes behind the end of the compressed data are ignored: an image knows the length of
   * a compressed cluster only in sectors. Memory is bounded by `into`, whatever the data claims.
   *
   * zlib: data that would give more than `into` holds is cut off. zstd: that is an error.
   *
   * @throws BlockError `io` if the data is corrupt, truncated, or gives fewer bytes than `into` holds; the
   * content of `into` is then not defined
   */
  decompress(from: Uint8Array, into: Uint8Array): Promise<void>
  /**
   * Fills several buffers, each as {@link Codec.decompress} would; none is touched any more when the promise settles. Made
   * for clusters that lie, and go, side by side, which take fewer calls. A codec may do without it.
   *
   * @throws BlockError as `decompress`, the first one's
   */
  decompressAll?(from: Uint8Array, parts: readonly CompressedPart[]): Promise<void>
}

/** One of several compressed clusters in a buffer. @public */
export interface CompressedPart {
  /** Where it starts in the buffer. */
  readonly at: number
  /** Its length, or more: bytes behind its end are ignored. */
  readonly bytes: number
  /** What it fills. */
  readonly into: Uint8Array
}

/** Options of {@link zlibRaw}. @public */
export interface ZlibOptions {
  /** 0 (none) to 9 (smallest); default 6. */
  readonly level?: number
  /** Window of the compressor, as a power of two: 9 to 15. Default 12, which qcow2 demands. Decompression accepts every window. */
  readonly windowBits?: number
}

/** Options of {@link zstd}. @public */
export interface ZstdOptions {
  /** 1 (fast) to 19 (small); default 3. */
  readonly level?: number
  /**
   * Decodes one whole frame into a buffer and returns the decoded bytes (in that buffer or in another one); throws if
   * it is damaged. For hosts without zstd of their own, such as browsers: `decompress` of the npm package `fzstd`
   * fits. Where it is given, it is used.
   */
  readonly decoder?: (frame: Uint8Array, into: Uint8Array) => Uint8Array
}

/** {@link ZlibOptions}, checked and complete. @internal */
export function zlibOptions(options: ZlibOptions): Required<ZlibOptions> {
  return { level: inRange('level', options.level ?? 6, 0, 9), windowBits: inRange('windowBits', options.windowBits ?? 12, 9, 15) }
}

/** The checked level of {@link ZstdOptions}. @internal */
export function zstdLevel(options: ZstdOptions): number {
  return inRange('level', options.level ?? 3, 1, 19)
}

function inRange(name: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw new BlockError('invalid', `Compression option '${name}' must be an integer between ${min} and ${max}, not ${value}`, { detail: { option: name } })
}

/** The error of data that cannot be decompressed. @internal */
export function damaged(method: Codec['name'], problem: string, cause?: unknown): BlockError {
  return new BlockError('io', `Could not decompress ${method} data: ${problem}`, { ...(cause !== undefined && { cause }), detail: { compression: method } })
}

/** The error of a compression method that this host lacks. @internal */
export function unsupported(message: string): BlockError {
  return new BlockError('unsupported', message)
}

/** A frame decoder whose errors are ours. @internal */
export function guarded(decoder: NonNullable<ZstdOptions['decoder']>): NonNullable<ZstdOptions['decoder']> {
  return (frame, into) => {
    try {
      return decoder(frame, into)
    } catch (error) {
      throw damaged('zstd', 'it is corrupt', error)
    }
  }
}
