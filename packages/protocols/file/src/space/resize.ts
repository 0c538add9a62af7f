import type { Preallocation } from '@blockloom/block-driver'
import { BlockError } from '@blockloom/block-driver'
import type { HostFile } from '../host-file.ts'
import { Fallocate, FALLOCATE } from './fallocate.ts'

/** @internal */
export const PREALLOCATIONS: readonly Preallocation[] = ['off', 'falloc', 'full']

const CHUNK = 1048576

/**
 * Sets the size of a file. New space is a hole (`off`), reserved (`falloc`; written where the host cannot
 * reserve), or written with zeroes and flushed (`full`). If that fails, the file has its old size.
 *
 * @internal
 */
export async function resizeFile(file: HostFile, size: number, preallocation: Preallocation, signal?: AbortSignal): Promise<void> {
  await file.refresh()
  const before = file.size
  if (preallocation === 'off') return file.truncate(size)
  if (!PREALLOCATIONS.includes(preallocation)) throw new BlockError('unsupported', `Unsupported preallocation mode: ${preallocation}`, { detail: { option: 'preallocation' } })
  if (size < before) throw new BlockError('invalid', 'Preallocation can only be used for growing images', { detail: { option: 'preallocation' } })
  if (size === before) return
  try {
    if (preallocation === 'falloc' && file.libc !== null && (await new Fallocate(file).call(FALLOCATE.RESERVE, before, size - before)) === 'done') {
      file.grown(size)
      return
    }
    await writeZeroes(file, before, size, signal)
  } catch (error) {
    // The first error is the one to report.
    await file.truncate(before).catch(() => undefined)
    throw error
  }
}

async function writeZeroes(file: HostFile, from: number, to: number, signal: AbortSignal | undefined): Promise<void> {
  const align = file.limits.requestAlignment
  const zeroes = new Uint8Array(Math.min(CHUNK, Math.ceil((to - from) / align) * align))
  const end = Math.ceil(to / align) * align
  for (let at = Math.ceil(from / align) * align; at < end; at += zeroes.length) {
    signal?.throwIfAborted()
    await file.write(at, zeroes.subarray(0, Math.min(zeroes.length, end - at)))
  }
  // O_DIRECT writes whole blocks, and the last may be longer than the file.
  await file.truncate(to)
  await file.flush('stable')
}
