/**
 * Compression of clusters, on Node: the host's zlib and zstd, on libuv's threads.
 *
 * How it was chosen (64 KiB clusters of text, two cores, Node 24; microseconds a cluster): Node's streams around zlib take
 * the main thread 20 a cluster, and the threads half as long again; called directly, 12 and 43 in all, with 4 to 8 calls
 * in flight. Threads of our own with shared memory and batches are no faster, and take 60 ms each to start. zstd
 * compression without a limit on calls in flight is slower than on the main thread (900 and 150; with its size told
 * beforehand 340), hence the gate.
 *
 * @packageDocumentation
 */
import { BlockError } from '@blockloom/block-driver'
import { CoSemaphore } from '@blockloom/coroutine-scheduler'
import { type Codec, type CompressedPart, type ZlibOptions, type ZstdOptions, damaged, guarded, zlibOptions, zstdLevel } from './codec.ts'
import { isCompressible } from './compressible.ts'
import { decodeZstd } from './decode-zstd.ts'
import { hostZlib } from './host-zlib.node.ts'
import { inflate } from './inflate.ts'
import { nativeDecoder } from './native-decoder.node.ts'
import { MAX_WINDOW_LOG } from './zstd-frame.ts'
import { zstdRows, type ZstdRow } from './zstd-rows.ts'

export type { Codec, CompressedPart, ZlibOptions, ZstdOptions } from './codec.ts'

// One buffer that holds the whole result, and does not look full when it does: saves a second trip to the thread.
const SPARE = 64

// File I/O shares libuv's threads: one of them stays free for it.
const gate = new CoSemaphore(Math.max(1, (Number.parseInt(process.env['UV_THREADPOOL_SIZE'] ?? '', 10) || 4) - 1), { name: 'codec threads' })
// Decoding is over so soon that threads would find nothing to do while the next one is on its way.
const decodes = new CoSemaphore(8, { name: 'native decoders' })

/**
 * Raw deflate data (RFC 1951) without a zlib header, as in qcow2's compressed clusters.
 *
 * @throws BlockError `invalid` for a level or window out of range
 * @public
 */
export function zlibRaw(options: ZlibOptions = {}): Codec {
  const { level, windowBits } = zlibOptions(options)
  return {
    name: 'zlib',
    compress: async (from, maxBytes) => {
      // The caller wants less than it has, and noise does not get smaller.
      if (maxBytes <= from.length && !isCompressible(from)) return null
      return atMost(maxBytes, (bounds, done) => hostZlib().deflateRaw(from, { level, windowBits, memLevel: 9, ...bounds }, done))
    },
    async decompress(from, into) {
      if (into.length === 0) return
      const native = nativeDecoder()
      if (native !== null && (await decodes.run(() => native.inflate(from, into)))) return
      // Without the end of the stream it still counts, if it filled the cluster.
      const zlib = hostZlib()
      const how = { windowBits: 15, finishFlush: zlib.constants.Z_SYNC_FLUSH, chunkSize: into.length + SPARE, maxOutputLength: into.length }
      let bytes: Uint8Array
      try {
        bytes = await gate.run(() => called((done) => zlib.inflateRaw(from, how, done)))
      } catch {
        // It gives more than a cluster, or is damaged, perhaps only behind the cluster: rare, and slow is good enough.
        return inflate(from, into)
      }
      if (bytes.length < into.length) throw damaged('zlib', `it ends after ${bytes.length} of ${into.length} bytes`)
      into.set(bytes)
    },
  }
}

/**
 * zstd frames (RFC 8878).
 *
 * @throws BlockError `invalid` for a level out of range
 * @public
 */
export function zstd(options: ZstdOptions = {}): Codec {
  const level = zstdLevel(options)
  const decode = options.decoder === undefined ? decodeFrame : guarded(options.decoder)
  return {
    name: 'zstd',
    compress: (from, maxBytes) =>
      atMost(maxBytes, (bounds, done) => {
        const zlib = hostZlib()
        const params = { [zlib.constants.ZSTD_c_compressionLevel]: level }
        zlib.zstdCompress(from, { params, pledgedSrcSize: from.length, ...bounds }, done)
      }),
    decompress: (from, into) => decodeZstd(from, into, decode),
    ...(options.decoder === undefined && { decompressAll: decodeRows }),
  }
}

async function decodeRows(from: Uint8Array, parts: readonly CompressedPart[]): Promise<void> {
  await allEnded(zstdRows(from, parts).map((row) => decodeRow(from, row)))
}

async function decodeRow(from: Uint8Array, row: ZstdRow): Promise<void> {
  const native = nativeDecoder()
  // Frames one behind the other are decoded as if they were one.
  if (row.parts.length > 1 && native?.hasZstd === true && (await decodes.run(() => native.zstd(row.from, row.into)))) return
  await allEnded(row.parts.map(({ at, bytes, into }) => decodeZstd(from.subarray(at, at + bytes), into, decodeFrame)))
}

/** Waits for all, also if one fails: their buffers are the caller's again afterwards. */
async function allEnded(work: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason
}

async function decodeFrame(frame: Uint8Array, into: Uint8Array): Promise<Uint8Array> {
  const native = nativeDecoder()
  if (native?.hasZstd === true && (await decodes.run(() => native.zstd(frame, into)))) return into
  const zlib = hostZlib()
  const how = { params: { [zlib.constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG }, chunkSize: into.length + SPARE, maxOutputLength: into.length }
  try {
    return await gate.run(() => called((done) => zlib.zstdDecompress(frame, how, done)))
  } catch (error) {
    throw damaged('zstd', isTooLarge(error) ? `a frame gives more than ${into.length} bytes` : 'it is corrupt', error)
  }
}

type Done = (error: Error | null, bytes: Uint8Array) => void

/** Runs a compressor with its output bounded; `null` if that was not enough. */
async function atMost(maxBytes: number, start: (bounds: { chunkSize: number; maxOutputLength: number }, done: Done) => void): Promise<Uint8Array | null> {
  if (maxBytes < 1) return null
  try {
    return await gate.run(() => called((done) => start({ chunkSize: maxBytes + SPARE, maxOutputLength: maxBytes }, done)))
  } catch (error) {
    if (isTooLarge(error)) return null
    throw new BlockError('io', 'Could not compress data', { cause: error })
  }
}

function called(start: (done: Done) => void): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    start((error, bytes) => (error === null ? resolve(bytes) : reject(error)))
  })
}

function isTooLarge(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
}
