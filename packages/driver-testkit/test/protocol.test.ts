import { describe, expect, it } from 'vitest'
import { BlockError, defineDriver, limits, option, type Instance, type OpenMode } from '@blockloom/block-driver'
import { protocolCases, register, runCase, type ProtocolFixture } from '@blockloom/driver-testkit'

type Store = Map<string, Uint8Array>

/** A host in memory: names and bytes. */
function shelf(store: Store, change: (right: Instance, mode: OpenMode) => Partial<Instance> = () => ({})) {
  const find = (name: string) => {
    const bytes = store.get(name)
    if (!bytes) throw new BlockError('not-found', `Could not open '${name}': No such file or directory`)
    return bytes
  }
  return defineDriver({
    name: 'shelf',
    kind: 'protocol',
    summary: 'named bytes in memory',
    options: { filename: option.string('Name on the shelf', { required: true }) },
    prefixes: ['shelf:'],
    parseFilename: (filename) => ({ filename: filename.replace(/^shelf:/, '') }),
    open: async ({ options: { filename }, mode }) => {
      find(filename)
      const right: Instance = {
        limits: limits(),
        size: () => find(filename).length,
        read: async (offset, into) => into.set(find(filename).subarray(offset, offset + into.length)),
        close: async () => {},
        filename: `shelf:${filename}`,
        extents: async (offset, bytes) => ({ kind: 'data', bytes, host: { child: null, offset } }),
        ...(!mode.readOnly && {
          writer: { write: async (offset: number, from: Uint8Array) => find(filename).set(from, offset), flush: async () => {} },
          resize: {
            preallocations: ['off'] as const,
            resize: async (size: number) => {
              const next = new Uint8Array(size)
              next.set(find(filename).subarray(0, size))
              store.set(filename, next)
            },
          },
        }),
      }
      return { ...right, ...change(right, mode) }
    },
    creation: {
      options: { filename: option.string('Name on the shelf', { required: true }), size: option.size('Size', { required: true }) },
      create: async ({ options: { filename, size } }) => void store.set(filename, new Uint8Array(size)),
    },
  })
}

function fixture(change?: Parameters<typeof shelf>[1]): ProtocolFixture {
  const store: Store = new Map()
  let count = 0
  return {
    driver: shelf(store, change),
    facets: ['prefixes', 'parseFilename', 'creation', 'extents', 'writer', 'resize'],
    keeps: 'reopen',
    make: async (content) => {
      const filename = `disk${count++}`
      store.set(filename, content.slice())
      return { filename }
    },
    missing: async () => ({ filename: 'nowhere' }),
    peek: async ({ filename }) => store.get(filename as string)!,
    fresh: async (size) => ({ create: { filename: 'new', size }, open: { filename: 'new' } }),
    filenames: [{ filename: 'shelf:disk.img', options: { filename: 'disk.img' } }, { filename: 'disk.img', options: { filename: 'disk.img' } }],
  }
}

register(protocolCases(), () => fixture(), { describe, it }, 'a correct protocol')

const BROKEN: readonly (readonly [fault: string, caughtBy: string, change: Parameters<typeof shelf>[1]])[] = [
  ['is writable when opened read-only', 'read-only: has nothing that changes the image', () => ({ writer: { write: async () => {}, flush: async () => {} } })],
  ['loses writes', 'protocol: what was flushed is on the host', (right) => ({ ...(right.writer && { writer: { write: async () => {}, flush: async () => {} } }) })],
  ['reads a byte too far', 'read: fills exactly what was asked, at every edge of a cluster', (right) => ({ read: (offset, into, flags) => right.read(Math.min(offset + 1, 200000), into, flags) })],
  ['names itself wrongly', 'protocol: the filename of an instance opens the same thing', () => ({ filename: 'shelf:disk' })],
]

describe('a protocol with a planted fault is caught', () => {
  const cases = new Map(protocolCases().map((one) => [one.name, one]))
  it.each(BROKEN)('%s', async (_fault, caughtBy, change) => {
    await expect(runCase(cases.get(caughtBy)!, fixture(change))).rejects.toMatchObject({ name: 'ConformanceFailure' })
  })
})
