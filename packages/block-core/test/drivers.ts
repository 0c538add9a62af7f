import { BlockError, ChildRole, defineDriver, defineFilter, limits, option, type Extent, type Limits } from '@blockloom/block-driver'

/** A disk in memory that records what happens to it and can be told to fail or wait. */
export class TestDisk {
  bytes: Uint8Array
  readonly log: string[] = []
  zeroAttempt: 'done' | 'unsupported' = 'done'
  /** Called before each hook; may wait or throw. */
  before: (what: string, offset: number, bytes: number) => void | Promise<void> = () => {}
  open = 0
  readonly limits: Limits

  constructor(size: number, some: Partial<Limits> = {}) {
    this.bytes = new Uint8Array(size)
    this.limits = limits(some)
  }

  async hook(what: string, offset = 0, bytes = 0): Promise<void> {
    this.log.push(what === 'flush' ? what : `${what} ${offset}+${bytes}`)
    const align = this.limits.requestAlignment
    if (offset % align !== 0 || bytes % align !== 0) throw new Error(`unaligned ${what} ${offset}+${bytes}`)
    if (bytes > this.limits.maxTransfer && what !== 'zero' && what !== 'discard') throw new Error('too long')
    await this.before(what, offset, bytes)
  }

  grow(end: number): void {
    if (end <= this.bytes.length) return
    const more = new Uint8Array(end)
    more.set(this.bytes)
    this.bytes = more
  }
}

/** A protocol over disks that a test holds by name. */
export function diskDriver(disks: Record<string, TestDisk>) {
  return defineDriver({
    name: 'file',
    kind: 'protocol',
    summary: 'test disks',
    options: { filename: option.string('Name of the disk', { required: true }) },
    prefixes: ['file:'],
    parseFilename: (filename) => ({ filename: filename.replace(/^file:/, '') }),
    open: async ({ options, mode }) => {
      const disk = disks[options.filename]
      if (disk === undefined) throw new BlockError('not-found', `Could not open '${options.filename}': No such file or directory`)
      disk.open++
      return {
        limits: disk.limits,
        size: () => disk.bytes.length,
        filename: options.filename,
        zeroInit: true,
        read: async (offset, into) => {
          await disk.hook('read', offset, into.length)
          into.fill(0)
          into.set(disk.bytes.subarray(offset, offset + into.length))
        },
        close: async () => void disk.open--,
        ...(mode.readOnly
          ? {}
          : {
              writer: {
                write: async (offset: number, from: Uint8Array) => {
                  await disk.hook('write', offset, from.length)
                  disk.grow(offset + from.length)
                  disk.bytes.set(from, offset)
                },
                flush: () => disk.hook('flush'),
              },
              zero: async (offset: number, bytes: number) => {
                await disk.hook('zero', offset, bytes)
                if (disk.zeroAttempt === 'done') {
                  disk.grow(offset + bytes)
                  disk.bytes.fill(0, offset, offset + bytes)
                }
                return disk.zeroAttempt
              },
              discard: async (offset: number, bytes: number) => {
                await disk.hook('discard', offset, bytes)
                return 'done' as const
              },
              resize: {
                preallocations: ['off'] as const,
                resize: async (size: number) => {
                  const bytes = new Uint8Array(size)
                  bytes.set(disk.bytes.subarray(0, size))
                  disk.bytes = bytes
                },
              },
            }),
      }
    },
    creation: {
      options: { filename: option.string('Name', { required: true }), size: option.size('Size', { default: 0 }) },
      create: async ({ options }) => void (disks[options.filename] = new TestDisk(options.size)),
    },
  })
}

/**
 * A toy format. Header: `TOY`, a byte with the number of 16-byte blocks, then one byte a block: 0 absent, 1 data,
 * 2 zero; then the backing name with its length; blocks start at 256.
 */
export const toy = defineDriver({
  name: 'toy',
  kind: 'format',
  summary: 'toy format',
  options: { tag: option.string('A tag'), quiet: option.boolean('Says nothing', { default: false }) },
  children: { file: { doc: 'The file', presence: 'required' }, backing: { doc: 'Below', presence: 'implicit' } },
  probe: (head) => (head[0] === 84 && head[1] === 79 && head[2] === 89 ? 100 : 0),
  open: async (context) => {
    const file = await context.child('file', { role: ChildRole.DATA | ChildRole.METADATA | ChildRole.PRIMARY })
    const head = new Uint8Array(256)
    await file.read(0, head)
    if (head[0] !== 84) throw new BlockError('corrupt', 'not a toy')
    const blocks = head[3]!
    const nameLength = head[4 + blocks]!
    const name = new TextDecoder().decode(head.subarray(5 + blocks, 5 + blocks + nameLength))
    const backing = await context.optionalChild('backing', { role: ChildRole.COW, ...(nameLength > 0 ? { fromImage: { filename: name, format: 'toy' } } : {}) })
    const readBlock = async (index: number, into: Uint8Array): Promise<void> => {
      if (head[4 + index] === 1) await file.read(256 + index * 16, into)
      else if (head[4 + index] === 0 && backing.current !== null) await backing.current.read(index * 16, into)
      else into.fill(0)
    }
    return {
      limits: limits({ requestAlignment: 16, clusterSize: 16 }),
      size: () => blocks * 16,
      read: async (offset, into) => {
        for (let at = 0; at < into.length; at += 16) await readBlock((offset + at) / 16, into.subarray(at, at + 16))
      },
      extents: async (offset): Promise<Extent> => {
        const kind = head[4 + offset / 16]
        if (kind === 1) return { kind: 'data', bytes: 16, host: { child: file, offset: 256 + offset } }
        return { kind: kind === 2 ? 'zero' : 'absent', bytes: 16 }
      },
      ...(context.mode.readOnly
        ? {}
        : {
            writer: {
              write: async (offset: number, from: Uint8Array) => {
                await file.write(256 + offset, from)
                for (let at = 0; at < from.length; at += 16) head[4 + (offset + at) / 16] = 1
                await file.write(0, head)
              },
              flush: (scope: 'host' | 'stable') => file.flush(scope),
            },
          }),
      close: async () => {},
    }
  },
  creation: {
    options: { size: option.size('Virtual size', { required: true }), backing_file: option.string('Backing') },
    create: async ({ options, file }) => {
      if (options.size > 100 * 16) throw new BlockError('invalid', 'too large')
      await file!.write(0, toyHeader(new Uint8Array(options.size / 16), options.backing_file))
    },
  },
})

/** The fallback of probing. */
export const plain = defineDriver({
  name: 'plain',
  kind: 'format',
  summary: 'plain bytes',
  options: {},
  children: { file: { doc: 'The file', presence: 'required' } },
  probe: () => 1,
  open: async (context) => {
    const file = await context.child('file', { role: ChildRole.DATA | ChildRole.PRIMARY })
    return {
      limits: limits(),
      size: () => file.size(),
      read: (offset, into) => file.read(offset, into),
      extents: async (offset, bytes) => ({ kind: 'data', bytes, host: { child: file, offset } }),
      close: async () => {},
      ...(context.mode.readOnly ? {} : { writer: { write: (offset: number, from: Uint8Array) => file.write(offset, from), flush: (scope: 'host' | 'stable') => file.flush(scope) } }),
    }
  },
})

/** A filter that leaves everything out. */
export const empty = defineFilter({ name: 'empty', summary: 'does nothing', options: {}, open: async () => ({ close: async () => {} }) })

export function toyHeader(kinds: Uint8Array, backing = ''): Uint8Array {
  const head = new Uint8Array(256)
  head.set([84, 79, 89, kinds.length])
  head.set(kinds, 4)
  head[4 + kinds.length] = backing.length
  head.set(new TextEncoder().encode(backing), 5 + kinds.length)
  return head
}

/** A disk with a toy image. */
export function toyDisk(kinds: number[], fill: number, backing = ''): TestDisk {
  const disk = new TestDisk(256 + kinds.length * 16)
  disk.bytes.fill(fill, 256)
  disk.bytes.set(toyHeader(Uint8Array.from(kinds), backing))
  return disk
}
