import { describe, expect, it } from 'vitest'
import { BlockError, defineFilter, type ChildHandle, type FilterInstance } from '@blockloom/block-driver'
import { filterCases, register, runCase, type FilterFixture } from '@blockloom/driver-testkit'

function fixture(open: (next: ChildHandle) => FilterInstance): FilterFixture {
  const driver = defineFilter({ name: 'through', summary: 'lets everything through', options: {}, open: async (_context, next) => open(next) })
  return { driver, facets: [] }
}

register(filterCases(), () => fixture(() => ({ close: async () => {} })), { describe, it }, 'an empty filter')

register(filterCases(), () => fixture((next) => ({
  close: async () => {},
  read: (offset, into) => next.read(offset, into),
  size: () => next.size(),
  writer: { write: (offset, from) => next.write(offset, from), flush: (scope) => next.flush(scope) },
})), { describe, it }, 'a filter that forwards by hand')

const BROKEN: readonly (readonly [fault: string, caughtBy: string, open: (next: ChildHandle) => FilterInstance])[] = [
  ['flips a bit', 'filter: shows exactly the bytes and the size of its child', (next) => ({
    close: async () => {},
    read: async (offset, into) => {
      await next.read(offset, into)
      into[0]! ^= 1
    },
  })],
  ['keeps flushes to itself', 'filter: what is written through it and flushed is in its child, on stable storage', (next) => ({
    close: async () => {},
    writer: { write: (offset, from) => next.write(offset, from), flush: async () => {} },
  })],
  ['swallows errors', 'filter: errors of its child come through as they are, and later requests work', (next) => ({
    close: async () => {},
    writer: { write: (offset, from) => next.write(offset, from).catch(() => {}), flush: (scope) => next.flush(scope) },
  })],
  ['replaces errors', 'filter: errors of its child come through as they are, and later requests work', (next) => ({
    close: async () => {},
    read: (offset, into) => next.read(offset, into).catch(() => {
      throw new BlockError('io', 'something failed')
    }),
  })],
  ['writes when it is closed', 'open: an image has its size, as a number that stays, and closes', (next) => ({
    close: async () => {
      void next.flush('stable')
    },
  })],
  ['claims zeroes', 'extents: cover the image in runs that agree with what is read', () => ({
    close: async () => {},
    extents: async (_offset, bytes) => ({ kind: 'zero', bytes }),
  })],
]

describe('a filter with a planted fault is caught', () => {
  const cases = new Map(filterCases().map((one) => [one.name, one]))
  it.each(BROKEN)('%s', async (_fault, caughtBy, open) => {
    await expect(runCase(cases.get(caughtBy)!, fixture(open))).rejects.toMatchObject({ name: 'ConformanceFailure' })
  })
})
