import type { Extent, Instance } from '@blockloom/block-driver'
import { DONE, limits, RequestFlag } from '@blockloom/block-driver'
import type { MemoryDisk } from './memory-disk.ts'

const LIMITS = limits()
// Nothing is more stable than the memory itself, and zeroing is always fast.
const HONOURED = RequestFlag.FUA | RequestFlag.MAY_UNMAP | RequestFlag.NO_FALLBACK | RequestFlag.WRITE_UNCHANGED

/** One opened memory disk. `filename` is its name, if it can be opened again. @internal */
export function memoryImage(disk: MemoryDisk, readOnly: boolean, filename: string | undefined): Instance {
  const shown: Instance = {
    limits: LIMITS,
    size: () => disk.size,
    read: (offset, into) => {
      disk.read(offset, into)
      return DONE
    },
    close: () => DONE,
    extents: (offset, bytes) => extent(disk, offset, bytes),
    allocatedSize: async () => disk.allocatedSize,
    zeroInit: true,
    ...(filename === undefined ? {} : { filename }),
  }
  if (readOnly) return shown
  return {
    ...shown,
    writer: {
      honours: HONOURED,
      write: (offset, from) => {
        disk.write(offset, from)
        return DONE
      },
      flush: () => DONE,
    },
    zero: async (offset, bytes) => {
      disk.zero(offset, bytes)
      return 'done'
    },
    discard: async (offset, bytes) => {
      // Advice must not grow the disk.
      const inside = Math.min(bytes, disk.size - offset)
      if (inside > 0) disk.zero(offset, inside)
      return 'done'
    },
    resize: {
      preallocations: ['off'],
      resize: async (bytes) => disk.resize(bytes),
    },
  }
}

function extent(disk: MemoryDisk, offset: number, bytes: number): Extent {
  const run = disk.run(offset, bytes)
  return { kind: run.stored ? 'data' : 'zero', bytes: run.bytes }
}
