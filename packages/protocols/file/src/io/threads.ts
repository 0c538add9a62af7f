import * as fs from 'node:fs'
import { errnoOf } from '../errno.ts'

/** Linux moves at most 2 GiB less a page in one call, and Node takes no more than 2^31-1. */
const MAX_CALL = 1073741824
/** A signal may interrupt a call again and again, but not forever. */
const MAX_INTERRUPTIONS = 1000

/**
 * Reads on another thread until `into` is full from `done` on; at the end of the file the rest becomes zeroes.
 * Rejects with the error of `node:fs`.
 *
 * @internal
 */
export function readFully(fd: number, offset: number, into: Uint8Array, done: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let at = done
    let interruptions = 0
    const next = (): void => fs.read(fd, into, at, Math.min(into.length - at, MAX_CALL), offset + at, step)
    const step = (error: NodeJS.ErrnoException | null, bytes: number): void => {
      if (error !== null && !(isInterruption(error) && ++interruptions < MAX_INTERRUPTIONS)) return reject(error)
      if (error === null) {
        if (bytes === 0) into.fill(0, at)
        at = bytes === 0 ? into.length : at + bytes
      }
      if (at === into.length) resolve()
      else next()
    }
    next()
  })
}

/** Writes all of `from` from `done` on, on another thread. Rejects with the error of `node:fs`. @internal */
export function writeFully(fd: number, offset: number, from: Uint8Array, done: number): Promise<void> {
  // Otherwise a write of nothing is an error.
  if (done === from.length) return Promise.resolve()
  return new Promise((resolve, reject) => {
    let at = done
    let interruptions = 0
    const next = (): void => fs.write(fd, from, at, Math.min(from.length - at, MAX_CALL), offset + at, step)
    const step = (error: NodeJS.ErrnoException | null, bytes: number): void => {
      if (error !== null && !(isInterruption(error) && ++interruptions < MAX_INTERRUPTIONS)) return reject(error)
      if (error === null) {
        // It would be tried forever.
        if (bytes === 0) return reject(Object.assign(new Error('write returned 0'), { code: 'ENOSPC' }))
        at += bytes
      }
      if (at === from.length) resolve()
      else next()
    }
    next()
  })
}

/** Writes all of several buffers, one behind the other, on another thread. Rejects with the error of `node:fs`. @internal */
export function writeAllFully(fd: number, offset: number, buffers: readonly Uint8Array[]): Promise<void> {
  const whole = buffers.reduce((sum, buffer) => sum + buffer.length, 0)
  return new Promise((resolve, reject) => {
    fs.writev(fd, buffers, offset, (error, bytes) => {
      if (error !== null) return isInterruption(error) ? resolve(writeRest(fd, offset, buffers, 0)) : reject(error)
      resolve(bytes === whole ? undefined : writeRest(fd, offset, buffers, bytes))
    })
  })
}

/** The host took less than all: the rest goes buffer by buffer. */
async function writeRest(fd: number, offset: number, buffers: readonly Uint8Array[], done: number): Promise<void> {
  let start = 0
  for (const buffer of buffers) {
    if (done < start + buffer.length) await writeFully(fd, offset + start, buffer, Math.max(0, done - start))
    start += buffer.length
  }
}

/** @internal */
export function isInterruption(error: unknown): boolean {
  const errno = errnoOf(error)
  return errno === 'EINTR' || errno === 'EAGAIN'
}
