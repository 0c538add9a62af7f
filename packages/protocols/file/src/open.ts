import { BlockError } from '@blockloom/block-driver'
import * as fs from 'node:fs'
import type { Libc } from './native/libc.ts'
import { errnoOf, hostError } from './errno.ts'

/** An open descriptor of a regular file. @internal */
export interface Descriptor {
  readonly fd: number
  readonly readOnly: boolean
  /** Opened with O_DIRECT. */
  readonly direct: boolean
  /** When it was opened, bytes. */
  readonly size: number
  /** Tells whether two descriptors are of the same file. */
  readonly identity: string
}

/** @internal */
export interface DescriptorRequest {
  readonly readOnly: boolean
  readonly direct: boolean
  /** The name in messages, if it is not `path`. */
  readonly shown?: string
  /** Makes the file if there is none; its content stays if there is. */
  readonly create?: boolean
}

type Done<T> = (error: NodeJS.ErrnoException | null, result: T) => void

const called = <T>(start: (done: Done<T>) => void): Promise<T> =>
  new Promise((resolve, reject) => start((error, result) => (error === null ? resolve(result) : reject(error))))
const open = (path: string, flags: number, mode: number): Promise<number> => called((done) => fs.open(path, flags, mode, done))
const fstat = (fd: number): Promise<fs.Stats> => called((done) => fs.fstat(fd, done))
const stat = (path: string): Promise<fs.Stats> => called((done) => fs.stat(path, done))
const close = (fd: number): Promise<void> => called<void>((done) => fs.close(fd, (error) => done(error ?? null)))

/**
 * Opens a regular file.
 *
 * @throws BlockError in the reference's words; nothing is left open
 * @internal
 */
export async function openDescriptor(path: string, request: DescriptorRequest): Promise<Descriptor> {
  const shown = request.shown ?? path
  const failed = `Could not ${request.create ? 'create' : 'open'} '${shown}'`
  // To open a FIFO would wait for the other end.
  const found = await stat(path).catch((error: unknown) => {
    if (request.create && errnoOf(error) === 'ENOENT') return null
    throw hostError(error, failed, { filename: shown })
  })
  if (found !== null && (!request.create || !found.isDirectory())) checkRegular(found, shown)
  const { O_RDONLY, O_RDWR, O_CREAT, O_DIRECT } = fs.constants
  const flags = (request.readOnly ? O_RDONLY : O_RDWR) + (request.create ? O_CREAT : 0) + (request.direct ? O_DIRECT : 0)
  const fd = await open(path, flags, 0o644).catch((error: unknown) => {
    if (request.direct && errnoOf(error) === 'EINVAL') {
      throw new BlockError('unsupported', `${failed}: filesystem does not support O_DIRECT`, { errno: 'EINVAL', cause: error, detail: { filename: shown, option: 'cache.direct' } })
    }
    throw hostError(error, failed, { filename: shown })
  })
  try {
    const stats = await fstat(fd)
    checkRegular(stats, shown)
    return { fd, readOnly: request.readOnly, direct: request.direct, size: stats.size, identity: `${stats.dev}:${stats.ino}` }
  } catch (error) {
    await close(fd)
    throw error instanceof BlockError ? error : hostError(error, failed, { filename: shown })
  }
}

/** @throws BlockError `unsupported` if there is no way to align buffers @internal */
export function requireDirect(libc: Libc | null, filename: string): void {
  if (libc !== null) return
  throw new BlockError('unsupported', `Could not open '${filename}': cache.direct needs Linux and the package koffi`, { detail: { option: 'cache.direct', filename } })
}

function checkRegular(stats: fs.Stats, filename: string): void {
  if (!stats.isFile()) {
    throw new BlockError('invalid', `'file' driver requires '${filename}' to be a regular file`, { detail: { filename } })
  }
}
