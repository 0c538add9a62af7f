import type { Koffi } from './libc.ts'
import type { Slots } from './slots.ts'

// struct aiocb of glibc where `long` has 8 bytes (its header aiocb.h): what is not set here is zero.
const CONTROL_BYTES = 168
const FILDES = 0
const BUF = 16
const NBYTES = 24
/** `sigev_notify` of `aio_sigevent`. */
const NOTIFY = 44
const OFFSET = 128
const SIGEV_NONE = 1
/** For the library's table, which grows. */
const EXPECTED_REQUESTS = 64

/** A request that the host works on: it and its buffer have to be kept until it is over. @internal */
export type ControlBlock = Uint8Array

/**
 * aio(7) of glibc: one thread takes one request after the other, of several files in turn, without being woken for each.
 *
 * @internal
 */
export interface Aio {
  /** Memory for a request. */
  block(): ControlBlock
  /** aio_read(3): 0, or minus the errno. */
  read(block: ControlBlock, fd: number, into: Uint8Array, offset: number): number
  /** aio_write(3): 0, or minus the errno. */
  write(block: ControlBlock, fd: number, from: Uint8Array, offset: number): number
  /** aio_cancel(3): ends the request with ECANCELED unless the thread has begun it. */
  cancel(block: ControlBlock): void
  /** aio_error(3): 0, EINPROGRESS, or the errno that the request failed with. */
  error(block: ControlBlock): number
  /** aio_return(3), once for each request that is over: bytes, or -1. */
  result(block: ControlBlock): number
  /** aio_suspend(3) on another thread: resolves when the request is over, or after a second. */
  wait(block: ControlBlock): Promise<void>
}

/**
 * As the library comes, there is a thread for each file, and they make and end each other all the time. How many there may be
 * can be told for the whole process, before the first request; Node makes none.
 *
 * @param slots - calls on another thread take one
 * @throws Error if the host's library is not glibc, and outside the process's main thread
 * @internal
 */
export function bindAio(koffi: Koffi, slots: Slots): Aio {
  const libc = koffi.load(null)
  // musl has the same functions with other structures, and starts a thread for each request.
  libc.func('const char *gnu_get_libc_version()')
  // A worker may be ended at any time, and its memory with it, while the host still reads into that.
  if (libc.func('int gettid()')() !== process.pid) throw new Error('only for the main thread')
  // struct aioinit: threads, requests, five settings that are ignored or have a default, and one that is reserved.
  const setting = new Int32Array(8)
  setting.set([1, EXPECTED_REQUESTS])
  libc.func('void aio_init(const void *)')(setting)
  const aioRead = libc.func('int aio_read(void *)') as (block: Uint8Array) => number
  const aioWrite = libc.func('int aio_write(void *)') as (block: Uint8Array) => number
  const aioCancel = libc.func('int aio_cancel(int, void *)') as (fd: number, block: Uint8Array) => number
  const aioError = libc.func('int aio_error(void *)') as (block: Uint8Array) => number
  const aioReturn = libc.func('int64 aio_return(void *)') as (block: Uint8Array) => number
  const aioSuspend = libc.func('int aio_suspend(void *, int, void *)')
  const fill = (block: Uint8Array, fd: number, buffer: Uint8Array, offset: number): Uint8Array => {
    block.fill(0)
    const view = new DataView(block.buffer)
    view.setInt32(FILDES, fd, true)
    view.setBigUint64(BUF, koffi.address(buffer), true)
    view.setUint32(NBYTES, buffer.length, true)
    view.setInt32(NOTIFY, SIGEV_NONE, true)
    view.setBigInt64(OFFSET, BigInt(offset), true)
    return block
  }
  const result = (value: number): number => (value < 0 ? -koffi.errno() : 0)
  return {
    // So much is never kept in V8's own heap, where things are moved.
    block: () => new Uint8Array(CONTROL_BYTES),
    read: (block, fd, into, offset) => result(aioRead(fill(block, fd, into, offset))),
    write: (block, fd, from, offset) => result(aioWrite(fill(block, fd, from, offset))),
    cancel: (block) => void aioCancel(new DataView(block.buffer).getInt32(FILDES, true), block),
    error: (block) => aioError(block),
    result: (block) => aioReturn(block),
    wait: async (block) => {
      await slots.take()
      const list = new BigUint64Array([koffi.address(block)])
      // struct timespec { time_t tv_sec; long tv_nsec; }
      const timeout = new BigInt64Array([1n, 0n])
      // However it ends: the request's own state tells whether it is over.
      await new Promise<void>((resolve) => aioSuspend.async(list, 1, timeout, () => resolve()))
      // So long, at least, the two are in memory.
      list[0] = 0n
      timeout[0] = 0n
      slots.give()
    },
  }
}
