import type { Attempt } from '@blockloom/block-driver'
import { RequestFlag } from '@blockloom/block-driver'
import type { HostFile } from '../host-file.ts'
import type { Fallocate } from './fallocate.ts'
import { FALLOCATE } from './fallocate.ts'

/** Makes a range read as zeroes without writing them; past the end the file grows. @internal */
export async function zeroFile(file: HostFile, fallocate: Fallocate, offset: number, bytes: number, flags: number): Promise<Attempt> {
  const end = offset + bytes
  if (flags & RequestFlag.MAY_UNMAP && (await fallocate.call(FALLOCATE.PUNCH_HOLE, offset, bytes)) === 'done') {
    if (end > file.size) await grow(file, end)
    return 'done'
  }
  if ((await fallocate.call(FALLOCATE.ZERO_RANGE, offset, bytes)) === 'done') {
    file.grown(end)
    return 'done'
  }
  if (flags & RequestFlag.MAY_UNMAP) return 'unsupported'
  // The same in two steps; in between the range has no space of its own, but reads as zeroes.
  if ((await fallocate.call(FALLOCATE.PUNCH_HOLE, offset, bytes)) === 'unsupported') return 'unsupported'
  if ((await fallocate.call(FALLOCATE.RESERVE, offset, bytes)) === 'unsupported') return 'unsupported'
  file.grown(end)
  return 'done'
}

/** Gives the space of a range back; what is past the end stays past the end. @internal */
export async function discardFile(file: HostFile, fallocate: Fallocate, offset: number, bytes: number): Promise<Attempt> {
  const inside = Math.min(bytes, file.size - offset)
  return inside > 0 ? fallocate.call(FALLOCATE.PUNCH_HOLE, offset, inside) : 'done'
}

/** By a write, because ftruncate would cut off what another request appends meanwhile. */
async function grow(file: HostFile, end: number): Promise<void> {
  const last = new Uint8Array(file.limits.requestAlignment)
  await file.write(end - last.length, last)
}
