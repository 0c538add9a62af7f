import type { ChildHandle, OpenContext } from '@blockloom/block-driver'
import { BlockError, limits, parseOptions } from '@blockloom/block-driver'
import type { MemoryDisk } from '@blockloom/protocol-memory'
import { raw } from '@blockloom/format-raw'

/** What reached the child, by method and arguments. */
export type Log = unknown[][]

/** A child over a memory disk, as the graph would give it; `fixed` refuses to be resized, as a device does. */
export function memoryChild(disk: MemoryDisk, log: Log = [], fixed = false): ChildHandle {
  return {
    name: 'file',
    nodeName: 'file0',
    limits: limits({ optimalTransfer: 4096 }),
    writable: true,
    zeroInit: true,
    size: () => disk.size,
    read: async (offset, into) => disk.read(offset, into),
    write: async (offset, from, flags) => {
      log.push(['write', offset, from.length, flags])
      disk.write(offset, from)
    },
    zero: async (offset, bytes, flags) => {
      log.push(['zero', offset, bytes, flags])
      disk.zero(offset, bytes)
    },
    discard: async (offset, bytes) => {
      log.push(['discard', offset, bytes])
      disk.zero(offset, bytes)
    },
    flush: async (scope) => void log.push(['flush', scope]),
    extents: async (offset, bytes) => {
      const run = disk.run(offset, bytes)
      return { kind: run.stored ? 'data' : 'zero', bytes: run.bytes }
    },
    resize: async (size, options) => {
      if (fixed) throw new BlockError('unsupported', 'fixed')
      log.push(['resize', size, options?.preallocation])
      disk.resize(size)
    },
    allocatedSize: async () => disk.allocatedSize,
  }
}

export async function openRaw(file: ChildHandle, values: Record<string, unknown> = {}, readOnly = false) {
  const roles: number[] = []
  const context = {
    options: parseOptions(raw.options, values),
    mode: { readOnly },
    child: async (_name: string, { role }: { role: number }) => {
      roles.push(role)
      return file
    },
  } as unknown as OpenContext<never>
  const image = await raw.open(context)
  return { ...image, size: image.size!, read: image.read!, roles }
}
