import { expect, test } from 'vitest'
import { L1Table } from '../src/l1-table.ts'
import { hostOffset } from '../src/units.ts'

test.each([8, 512, 4088, 4096, 4104, 65536, 3 * 65536 + 8])('a table of %i bytes tells of all its entries, wherever they are', (bytes) => {
  const entries = bytes / 8
  for (const used of [[], [0], [entries - 1], [Math.floor(entries / 2)], [...new Set([0, Math.min(511, entries - 1), Math.min(512, entries - 1), entries - 1])]]) {
    const table = new L1Table(hostOffset(65536), new Uint8Array(bytes))
    for (const index of used) table.set(index, hostOffset((index + 1) * 65536))
    expect([...table.tableOffsets()].filter((offset) => offset !== 0)).toEqual(used.map((index) => (index + 1) * 65536))
  }
})
