import { describe, it } from 'vitest'
import { protocolCases, register, type ProtocolFixture } from '@blockloom/driver-testkit'
import { createMemoryDisk, memory, memoryDriver, type MemoryDisk } from '@blockloom/protocol-memory'

const IMAGE = ['extents', 'writer', 'zero', 'discard', 'resize', 'allocatedSize'] as const

register(protocolCases(), (): ProtocolFixture => ({
  driver: memory,
  facets: IMAGE,
  keeps: 'open',
  make: async (content) => ({ size: content.length }),
}), { describe, it }, 'memory, a new disk for each open')

register(protocolCases(), (): ProtocolFixture => {
  const disks = new Map<string, MemoryDisk>()
  return {
    driver: memoryDriver(disks),
    facets: ['prefixes', 'parseFilename', 'creation', ...IMAGE],
    keeps: 'reopen',
    make: async (content) => {
      const name = `disk${disks.size}`
      disks.set(name, createMemoryDisk(content))
      return { name }
    },
    missing: async () => ({ name: 'nowhere' }),
    peek: async ({ name }) => disks.get(name as string)!.toBytes(),
    fresh: async (size) => ({ create: { name: 'new', size }, open: { name: 'new' } }),
    filenames: [{ filename: 'memory:vm', options: { name: 'vm' } }, { filename: 'vm', options: { name: 'vm' } }, { filename: 'memory:a:b', options: { name: 'a:b' } }],
  }
}, { describe, it }, 'memory, disks by name')
