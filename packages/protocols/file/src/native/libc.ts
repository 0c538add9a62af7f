import { constants } from 'node:os'
import { bindAio, type Aio } from './aio.ts'
import { requireKoffi } from './require-koffi.ts'
import { Slots } from './slots.ts'

/**
 * The system calls that Node does not have, by way of the optional package `koffi`. All return what the call
 * returns, or minus the errno.
 *
 * @internal
 */
export interface Libc {
  /** preadv2(2) with RWF_NOWAIT: reads what is in the page cache, without waiting for a device. */
  preadNowait(fd: number, into: Uint8Array, offset: number): number
  /** lseek(2); the position itself is never used. */
  seek(fd: number, offset: number, whence: number): number
  /** fallocate(2), at once. */
  fallocateNow(fd: number, mode: number, offset: number, bytes: number): number
  /** fallocate(2) on another thread. */
  fallocate(fd: number, mode: number, offset: number, bytes: number): Promise<number>
  /** fcntl(2) with F_OFD_SETLK: a shared lock on one byte, or none. */
  setLock(fd: number, byte: number, lock: boolean): number
  /** fcntl(2) with F_OFD_GETLK: 1 if an exclusive lock on one byte would conflict with somebody's, else 0. */
  testLock(fd: number, byte: number): number
  /** ioctl(2) with a buffer that the host reads or fills. */
  ioctl(fd: number, request: number, argument: Uint8Array): number
  /** f_type of fstatfs(2). */
  fileSystemType(fd: number): number
  /** Where a buffer lies in memory, modulo 1 MiB. */
  address(buffer: Uint8Array): number
  /** `null` where the host's library is not glibc. */
  readonly aio: Aio | null
}

/** `whence` of lseek(2), Linux. @internal */
export const SEEK_DATA = 3
/** @internal */
export const SEEK_HOLE = 4

const { ENOSYS, ENOTSUP } = constants.errno
const RWF_NOWAIT = 0x8
const F_OFD_GETLK = 36
const F_OFD_SETLK = 37
const F_RDLCK = 0
const F_WRLCK = 1
const F_UNLCK = 2
// koffi queues 256 asynchronous calls, of the whole process, and throws at the next.
const MAX_ASYNC = 32

let loading: Promise<Libc | null> | undefined

/** Loads koffi, once; `null` if it is not installed or the host is not a 64-bit Linux. @internal */
export function loadLibc(): Promise<Libc | null> {
  loading ??= load()
  return loading
}

/** Whether {@link loadLibc} could work here if koffi is installed. @internal */
export function hostHasLibc(): boolean {
  return process.platform === 'linux' && ['x64', 'arm64', 'riscv64', 'loong64'].includes(process.arch)
}

async function load(): Promise<Libc | null> {
  if (!hostHasLibc()) return null
  try {
    return bind(requireKoffi())
  } catch {
    return null
  }
}

/** @internal */
export type Koffi = (typeof import('koffi'))['default']
type Call = (...args: readonly (number | Uint8Array | string)[]) => number

function bind(koffi: Koffi): Libc {
  const libc = koffi.load(null)
  const preadv2 = optional(() => libc.func('int64 preadv2(int, void *, int, int64, int)') as Call)
  const lseek = libc.func('int64 lseek(int, int64, int)') as Call
  const fallocate = libc.func('int fallocate(int, int, int64, int64)')
  const fcntl = libc.func('int fcntl(int, int, ...)') as Call
  const fstatfs = libc.func('int fstatfs(int, void *)') as Call
  const ioctl = libc.func('int ioctl(int, unsigned long, ...)') as Call
  const result = (value: number): number => (value < 0 ? -koffi.errno() : value)

  // struct iovec { void *iov_base; size_t iov_len; }, kept: calls are synchronous. Little endian, see hostHasLibc.
  const iovec = new BigUint64Array(2)
  const iovecBytes = new Uint8Array(iovec.buffer)
  const iovecLength = new Uint32Array(iovec.buffer, 8, 2)

  // struct flock { short l_type, l_whence; off_t l_start, l_len; pid_t l_pid; } with 64-bit off_t
  const flockBytes = new Uint8Array(32)
  const flock = new DataView(flockBytes.buffer)
  const lockCall = (fd: number, command: number, type: number, byte: number): number => {
    flockBytes.fill(0)
    flock.setInt16(0, type, true)
    flock.setUint32(8, byte, true)
    flock.setUint32(16, 1, true)
    return result(fcntl(fd, command, 'void *', flockBytes))
  }

  const slots = new Slots(MAX_ASYNC)
  return {
    preadNowait: (fd, into, offset) => {
      if (preadv2 === null) return -ENOSYS
      iovec[0] = koffi.address(into)
      iovecLength[0] = into.length
      return result(preadv2(fd, iovecBytes, 1, offset, RWF_NOWAIT))
    },
    seek: (fd, offset, whence) => result(lseek(fd, offset, whence)),
    fallocateNow: (fd, mode, offset, bytes) => result(fallocate(fd, mode, offset, bytes) as number),
    fallocate: async (fd, mode, offset, bytes) => {
      await slots.take()
      try {
        return await new Promise<number>((resolve, reject) => {
          // koffi keeps the errno of the call until its callback has run.
          fallocate.async(fd, mode, offset, bytes, (error: unknown, value: number) => (error ? reject(error as Error) : resolve(result(value))))
        })
      } finally {
        slots.give()
      }
    },
    setLock: (fd, byte, lock) => lockCall(fd, F_OFD_SETLK, lock ? F_RDLCK : F_UNLCK, byte),
    testLock: (fd, byte) => {
      const answer = lockCall(fd, F_OFD_GETLK, F_WRLCK, byte)
      return answer < 0 ? answer : flock.getInt16(0, true) === F_UNLCK ? 0 : 1
    },
    ioctl: (fd, request, argument) => result(ioctl(fd, request, 'void *', argument)),
    fileSystemType: (fd) => {
      // struct statfs has 120 bytes where `long` has 8, and begins with `long f_type`.
      const answer = new Uint8Array(256)
      const failure = result(fstatfs(fd, answer))
      return failure < 0 ? failure : new DataView(answer.buffer).getUint32(0, true)
    },
    address: (buffer) => Number(koffi.address(buffer) % 1048576n),
    aio: optional(() => bindAio(koffi, slots)),
  }
}

/** The host or the file system does not have the call. @internal */
export function isMissing(result: number): boolean {
  return result === -ENOTSUP || result === -ENOSYS
}

function optional<T>(make: () => T): T | null {
  try {
    return make()
  } catch {
    return null
  }
}
