import { type Koffi, loadKoffi, type NativeFunction } from './koffi.node.ts'

/**
 * zlib and zstd as Node has them compiled in, called without the streams that Node puts around them: a cluster is decoded
 * on one of libuv's threads, from where it is to where it is wanted. Node exports both for addons.
 *
 * A decoder does not say what is wrong with data: the caller decodes it again in a slower way that can tell. Calls in
 * flight are the caller's to limit, each has a state of some 50 KiB that is used again.
 *
 * @internal
 */
export class NativeDecoder {
  readonly #koffi: Koffi
  readonly #zlib: { readonly init: NativeFunction; readonly reset: NativeFunction; readonly inflate: NativeFunction }
  readonly #zstd: { readonly create: NativeFunction; readonly decode: NativeFunction } | null
  readonly #streams: InflateStream[] = []
  readonly #contexts: object[] = []

  /** Throws if the process does not export zlib's functions. */
  constructor(koffi: Koffi) {
    this.#koffi = koffi
    const host = koffi.load(null)
    this.#zlib = {
      init: host.func('int inflateInit2_(void *, int, const char *, int)'),
      reset: host.func('int inflateReset(void *)'),
      inflate: host.func('int inflate(void *, int)'),
    }
    this.#zstd = zstdOf(koffi)
  }

  get hasZstd(): boolean {
    return this.#zstd !== null
  }

  /** Raw deflate data. True if it filled `into`, whether or not it goes on behind that. */
  inflate(from: Uint8Array, into: Uint8Array): Promise<boolean> {
    const { init, reset, inflate } = this.#zlib
    const stream = this.#streams.pop() ?? newStream(init)
    if (stream === null) return Promise.resolve(false)
    reset(stream.bytes)
    stream.pointers[NEXT_IN] = this.#koffi.address(from)
    stream.pointers[NEXT_OUT] = this.#koffi.address(into)
    stream.counts[AVAIL_IN] = from.length
    stream.counts[AVAIL_OUT] = into.length
    return new Promise((resolve) => {
      inflate.async(stream.bytes, Z_FINISH, (error: unknown, result: number) => {
        // `from` and `into` are named here for the collector: nothing else refers to them while the thread uses their memory.
        const filled = error === null && stream.counts[AVAIL_OUT] === 0 && from.length + into.length > 0
        // After an error the state is only good for a reset, which is how it is used next.
        this.#streams.push(stream)
        resolve(filled && GOOD.has(result))
      })
    })
  }

  /** One zstd frame. True if it gave as much as `into` holds, and no more. */
  zstd(from: Uint8Array, into: Uint8Array): Promise<boolean> {
    const { create, decode } = this.#zstd!
    const context = this.#contexts.pop() ?? (create() as object | null)
    if (context === null) return Promise.resolve(false)
    return new Promise((resolve) => {
      decode.async(context, into, into.length, from, from.length, (error: unknown, bytes: number | bigint) => {
        this.#contexts.push(context)
        // An error is a number close to 2^64.
        resolve(error === null && Number(bytes) === into.length)
      })
    })
  }
}

/**
 * The `z_stream` of zlib.h in the LP64 data model, little endian: pointers and `long` are eight bytes, so that the structure
 * has 112. zlib itself compares that number with its own.
 */
interface InflateStream {
  readonly bytes: Uint8Array
  readonly pointers: BigUint64Array
  readonly counts: Uint32Array
}

const STREAM_BYTES = 112
// In units of a pointer, and of an unsigned int.
const NEXT_IN = 0
const NEXT_OUT = 3
const AVAIL_IN = 2
const AVAIL_OUT = 8

const RAW_32_KIB = -15
const Z_FINISH = 4
// Z_OK, Z_STREAM_END, and Z_BUF_ERROR for data that goes on behind the end of a full buffer.
const GOOD: ReadonlySet<number> = new Set([0, 1, -5])

function newStream(init: NativeFunction): InflateStream | null {
  // All zero: memory comes from malloc.
  const memory = new ArrayBuffer(STREAM_BYTES)
  const bytes = new Uint8Array(memory)
  // Only the first digit of the version is compared, which has been 1 since 1995.
  if (init(bytes, RAW_32_KIB, '1', STREAM_BYTES) !== 0) return null
  return { bytes, pointers: new BigUint64Array(memory), counts: new Uint32Array(memory) }
}

function zstdOf(koffi: Koffi): { readonly create: NativeFunction; readonly decode: NativeFunction } | null {
  // Where Node does not export its own there is often the host's.
  for (const library of [null, 'libzstd.so.1']) {
    try {
      const zstd = koffi.load(library)
      return {
        create: zstd.func('void *ZSTD_createDCtx()'),
        decode: zstd.func('size_t ZSTD_decompressDCtx(void *, void *, size_t, const void *, size_t)'),
      }
    } catch {
      continue
    }
  }
  return null
}

let loaded: NativeDecoder | null | undefined

/** The process's decoder; `null` without koffi, and on hosts whose structures are not known here. @internal */
export function nativeDecoder(): NativeDecoder | null {
  return (loaded ??= load())
}

function load(): NativeDecoder | null {
  if (process.platform !== 'linux' || !['x64', 'arm64', 'riscv64', 'loong64'].includes(process.arch)) return null
  try {
    const koffi = loadKoffi()
    return koffi === null ? null : new NativeDecoder(koffi)
  } catch {
    return null
  }
}
