/** What a worker is started with. @internal */
export interface DecodeWorkerData {
  /** Slots: first all inputs, then all outputs, each `slotBytes` long. */
  readonly memory: SharedArrayBuffer
  readonly slots: number
  readonly slotBytes: number
  /** From where `koffi` may be found. */
  readonly base: string
}

/** Work for one slot: its number, the algorithm (0 zlib, 1 zstd), bytes of input, bytes wanted. @internal */
export const WORDS_PER_JOB = 4

/**
 * The whole program of a decoding thread, as a function without any reference to what is around it: it is started from
 * its own text, so that it survives every bundler.
 *
 * A message is a batch of jobs; the answer says for each whether its output is complete. What went wrong is not said:
 * the caller decodes such a cluster again in a slower way that can tell.
 *
 * @internal
 */
export function decodeWorker(): void {
  const builtin = process.getBuiltinModule
  const { parentPort, workerData } = builtin('node:worker_threads')
  const zlib = builtin('node:zlib')
  const { memory, slots, slotBytes, base } = workerData as DecodeWorkerData
  const { Z_SYNC_FLUSH } = zlib.constants

  // The host's own libzstd decodes in half the time, because it writes to where the result is wanted.
  type Native = (into: Uint8Array, intoBytes: number, from: Uint8Array, fromBytes: number) => number | bigint
  const loadKoffi = () => {
    const { createRequire } = builtin('node:module')
    const require = createRequire(base)
    try {
      // Its compiled part alone: the loader takes ten times as long.
      const { platform, arch } = process
      return createRequire(require.resolve('koffi'))(`@koromix/koffi-${platform}-${arch}/${platform}_${arch}/koffi.node`)
    } catch {
      return require('koffi')
    }
  }
  const loadNative = (): Native | null => {
    if (process.platform !== 'linux') return null
    try {
      const koffi = loadKoffi()
      const library = koffi.load('libzstd.so.1')
      const context = library.func('void* ZSTD_createDCtx()')()
      const decode = library.func('size_t ZSTD_decompressDCtx(void* ctx, void* dst, size_t cap, const void* src, size_t n)')
      return context === null ? null : (into, intoBytes, from, fromBytes) => decode(context, into, intoBytes, from, fromBytes)
    } catch {
      return null
    }
  }
  let native: Native | null | undefined

  const decode = (zstd: boolean, from: Uint8Array, into: Uint8Array): boolean => {
    const bounds = { chunkSize: into.length + 64, maxOutputLength: into.length }
    if (zstd) {
      native ??= loadNative()
      if (native !== null) return Number(native(into, into.length, from, from.length)) === into.length
    }
    const bytes = zstd ? zlib.zstdDecompressSync(from, bounds) : zlib.inflateRawSync(from, { windowBits: 15, finishFlush: Z_SYNC_FLUSH, ...bounds })
    if (bytes.length === into.length) into.set(bytes)
    return bytes.length === into.length
  }

  parentPort!.on('message', (jobs: Int32Array) => {
    const done: boolean[] = []
    for (let at = 0; at < jobs.length; at += 4) {
      const slot = jobs[at]!
      try {
        const from = new Uint8Array(memory, slot * slotBytes, jobs[at + 2])
        done.push(decode(jobs[at + 1] === 1, from, new Uint8Array(memory, (slots + slot) * slotBytes, jobs[at + 3])))
      } catch {
        done.push(false)
      }
    }
    parentPort!.postMessage(done)
  })
}
