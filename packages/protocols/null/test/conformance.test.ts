import { describe, it } from 'vitest'
import { protocolCases, register } from '@blockloom/driver-testkit'
import { nullAio, nullCo } from '@blockloom/protocol-null'

const CONFIGURATIONS = [
  ['as it is', {}],
  ['with read-zeroes', { 'read-zeroes': true }],
  ['with a latency', { 'latency-ns': 1000 }],
] as const

for (const driver of [nullCo, nullAio]) {
  for (const [title, options] of CONFIGURATIONS) {
    register(protocolCases(), () => ({
      driver,
      facets: ['prefixes', 'parseFilename', 'extents', 'writer', 'zero', 'discard', 'allocatedSize', 'reopen', 'aioContext'],
      keeps: 'nothing' as const,
      options,
      make: async (content) => ({ size: content.length }),
      filenames: [{ filename: `${driver.name}://`, options: {} }],
    }), { describe, it }, `${driver.name} ${title}`)
  }
}
