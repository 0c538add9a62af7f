import { BlockError, defineDriver, option } from '@blockloom/block-driver'
import { memoryImage } from './image.ts'
import { MemoryDisk } from './memory-disk.ts'

const SUMMARY = 'a sparse disk in memory'

/**
 * The driver `memory`: each open makes a new empty disk, gone when it is closed.
 * For disks that outlive a graph or are shared, see {@link memoryDriver}.
 *
 * @public
 */
export const memory = defineDriver({
  name: 'memory',
  kind: 'protocol',
  summary: SUMMARY,
  options: {
    size: option.size('Size in bytes', { default: 0 }),
  },
  open: async ({ options, mode }) => memoryImage(new MemoryDisk(options.size), mode.readOnly, undefined),
})

/**
 * A driver `memory` over disks that the caller holds, by name: `name: 'vm'` or the filename `memory:vm`.
 * Several nodes and graphs may open the same disk. `create` puts a new disk into the map, or empties the one
 * that has that name.
 *
 * @public
 */
export function memoryDriver(disks: Map<string, MemoryDisk>) {
  return defineDriver({
    name: 'memory',
    kind: 'protocol',
    summary: SUMMARY,
    options: {
      name: option.string('Name of the disk; absent: a new one, gone when it is closed'),
      size: option.size('Size in bytes of a new disk, not allowed with a name'),
    },
    open: async ({ options, mode }) => {
      const { name, size } = options
      if (name === undefined) return memoryImage(new MemoryDisk(size ?? 0), mode.readOnly, undefined)
      if (size !== undefined) throw new BlockError('invalid', "Parameter 'size' cannot be used with 'name'", { detail: { option: 'size' } })
      const disk = disks.get(name)
      if (disk === undefined) throw new BlockError('not-found', `Could not open 'memory:${name}': there is no memory disk of that name`, { detail: { name } })
      return memoryImage(disk, mode.readOnly, `memory:${name}`)
    },
    prefixes: ['memory:'],
    parseFilename: (filename) => ({ name: filename.replace(/^memory:/, '') }),
    creation: {
      options: {
        name: option.string('Name of the disk', { required: true }),
        size: option.size('Size in bytes', { default: 0 }),
      },
      create: async ({ options }) => {
        const disk = disks.get(options.name)
        if (disk === undefined) {
          disks.set(options.name, new MemoryDisk(options.size))
        } else {
          disk.resize(0)
          disk.resize(options.size)
        }
      },
    },
  })
}
