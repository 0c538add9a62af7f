import type { Extent } from '@blockloom/block-driver'
import { constants } from 'node:os'
import { systemError } from '../errno.ts'
import type { HostFile } from '../host-file.ts'
import { SEEK_DATA, SEEK_HOLE } from '../native/libc.ts'

const { EINVAL, ENOTSUP, ENXIO } = constants.errno

/**
 * Where the file has data and where holes, by lseek(2). File systems that do not know have data everywhere.
 *
 * @internal
 */
export function fileExtent(file: HostFile, offset: number, bytes: number): Extent {
  const { data, end } = run(file, offset)
  const align = file.limits.requestAlignment
  const host = { child: null, offset }
  if (data) {
    // With O_DIRECT the end of the file may lie within a block.
    const whole = Math.ceil((Math.min(end, offset + bytes) - offset) / align) * align
    return { kind: 'data', bytes: Math.min(whole, bytes), host }
  }
  if (end >= offset + bytes) return { kind: 'zero', bytes, host }
  const whole = Math.floor((end - offset) / align) * align
  return whole > 0 ? { kind: 'zero', bytes: whole, host } : { kind: 'data', bytes: Math.min(align, bytes), host }
}

/** Whether there is data at `offset`, and up to where the answer holds. */
function run(file: HostFile, offset: number): { readonly data: boolean; readonly end: number } {
  const libc = file.libc!
  // Who goes on behind a hole is in data, and needs to know its end only.
  if (offset === file.dataBehindHole) {
    const end = libc.seek(file.fd, offset, SEEK_HOLE)
    if (end > offset) return { data: true, end }
  }
  const data = libc.seek(file.fd, offset, SEEK_DATA)
  // No data from here to the end of the file, or past it.
  if (data === -ENXIO) return { data: false, end: Infinity }
  if (data === -EINVAL || data === -ENOTSUP) return { data: true, end: Infinity }
  if (data < 0) throw file.error(systemError('lseek', -data), 'Could not find the holes of', { offset })
  if (data > offset) {
    file.dataBehindHole = data
    return { data: false, end: data }
  }
  const hole = libc.seek(file.fd, offset, SEEK_HOLE)
  if (hole < 0 && hole !== -ENXIO) throw file.error(systemError('lseek', -hole), 'Could not find the holes of', { offset })
  // Somebody else may have cut the file off in between.
  return hole > offset ? { data: true, end: hole } : { data: false, end: Infinity }
}
