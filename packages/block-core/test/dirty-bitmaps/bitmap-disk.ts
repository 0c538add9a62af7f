import { createGraph, type BlockNode } from '@blockloom/block-core'
import { BlockError, defineDriver, limits, type Attempt, type BitmapContent, type BitmapFacet, type Clock, type Limits } from '@blockloom/block-driver'

/** A bitmap as it lies in the image. */
export interface OnDisk {
  readonly granularity: number
  readonly auto: boolean
  readonly inUse: boolean
  readonly bits: Uint8Array
}

/**
 * A disk with bitmaps, as a test sees it. What is here is what survives: opening it again without having closed it is a
 * crash.
 */
export class BitmapDisk {
  bytes: Uint8Array
  bitmaps = new Map<string, OnDisk>()
  readonly log: string[] = []
  /** Called before each hook; may wait or throw. */
  before: (what: string, offset: number, bytes: number) => void | Promise<void> = () => {}
  discards: Attempt = 'done'
  /** Bytes of serialised bits that are stored or loaded at a time. */
  chunk = 5
  /** How often everything is loaded again. */
  repeat = 1
  /** Why bitmaps cannot be listed. */
  broken: Error | null = null
  readonly limits: Limits

  constructor(size: number, some: Partial<Limits> = {}) {
    this.bytes = new Uint8Array(size)
    this.limits = limits(some)
  }

  /** Bitmaps that are stored well, by hand. */
  put(name: string, bits: number[], some: Partial<OnDisk> = {}): void {
    this.bitmaps.set(name, { granularity: 512, auto: true, inUse: false, bits: Uint8Array.from(bits), ...some })
  }

  /** What a user sees of a bitmap in the image. */
  stored(name: string): { auto: boolean; inUse: boolean; bits: number[] } | undefined {
    const found = this.bitmaps.get(name)
    return found && { auto: found.auto, inUse: found.inUse, bits: [...found.bits] }
  }

  async open(options: { readOnly?: boolean; forCheck?: boolean; clock?: Clock; spec?: object } = {}): Promise<BlockNode> {
    const { clock, spec, ...open } = options
    const graph = createGraph({ drivers: [bitmapDriver(this)], ...(clock ? { clock } : {}) })
    return graph.openSpec({ driver: 'disk', discard: 'unmap', 'node-name': 'disk', ...spec }, open)
  }

  async hook(what: string, offset = 0, bytes = 0): Promise<void> {
    this.log.push(`${what} ${offset}+${bytes}`)
    await this.before(what, offset, bytes)
  }

  /** As drivers do before the guest's disk first changes. */
  distrust(): void {
    for (const [name, bitmap] of this.bitmaps) this.bitmaps.set(name, { ...bitmap, inUse: true })
  }

  /** A repair, say, takes a bitmap away. */
  lose: (name: string) => void = () => {}

  bitsBytes(granularity: number): number {
    return Math.ceil(Math.ceil(this.bytes.length / granularity) / 8)
  }
}

function bitmapDriver(disk: BitmapDisk) {
  return defineDriver({
    name: 'disk',
    kind: 'protocol',
    summary: 'disk with bitmaps',
    options: {},
    open: async ({ mode }) => ({
      limits: disk.limits,
      size: () => disk.bytes.length,
      read: async (offset, into) => {
        await disk.hook('read', offset, into.length)
        into.set(disk.bytes.subarray(offset, offset + into.length))
      },
      bitmaps: facet(disk, mode.readOnly),
      close: () => disk.hook('close'),
      ...(mode.readOnly ? {} : writing(disk)),
    }),
  })
}

function writing(disk: BitmapDisk) {
  const change = async (what: string, offset: number, bytes: number, work: () => void): Promise<void> => {
    disk.distrust()
    await disk.hook(what, offset, bytes)
    work()
  }
  const write = (offset: number, from: Uint8Array): Promise<void> => change('write', offset, from.length, () => disk.bytes.set(from, offset))
  return {
    writer: { write, flush: () => disk.hook('flush') },
    zero: async (offset: number, bytes: number): Promise<Attempt> => {
      await change('zero', offset, bytes, () => disk.bytes.fill(0, offset, offset + bytes))
      return 'done'
    },
    discard: async (offset: number, bytes: number): Promise<Attempt> => {
      if (disk.discards === 'done') await change('discard', offset, bytes, () => disk.bytes.fill(0, offset, offset + bytes))
      return disk.discards
    },
    compress: { granularity: 4096, write },
    resize: {
      preallocations: ['off'] as const,
      resize: (size: number) =>
        change('resize', size, 0, () => {
          const bytes = new Uint8Array(size)
          bytes.set(disk.bytes.subarray(0, size))
          disk.bytes = bytes
        }),
    },
    snapshots: {
      list: () => [],
      openReadOnly: () => Promise.reject(new Error('none')),
      revert: () => change('revert', 0, 0, () => void disk.bytes.fill(9)),
    },
    check: {
      fixes: ['leaks', 'errors'] as const,
      check: async () => {
        await disk.hook('check')
        return { corruptions: 0, leaks: 0, checkErrors: 0, corruptionsFixed: 0, leaksFixed: 0 }
      },
    },
  }
}

function facet(disk: BitmapDisk, readOnly: boolean): BitmapFacet {
  const get = (name: string): OnDisk => {
    const found = disk.bitmaps.get(name)
    if (found === undefined) throw new BlockError('not-found', `no bitmap ${name}`)
    return found
  }
  disk.lose = (name) => {
    disk.bitmaps.delete(name)
    listed = listed.filter((bitmap) => bitmap.name !== name)
  }
  // As they were when the image was opened, or last stored: marks that were made since do not show.
  let listed = [...disk.bitmaps].map(([name, { granularity, auto, inUse }]) => ({ name, granularity, auto, inconsistent: inUse }))
  const list = (): void => void (listed = [...disk.bitmaps].map(([name, { granularity, auto }]) => ({ name, granularity, auto, inconsistent: listed.some((old) => old.name === name && old.inconsistent) })))
  return {
    list: () => {
      if (disk.broken !== null) throw disk.broken
      return listed
    },
    load: async (name, chunk) => {
      await disk.hook(`load ${name}`)
      const { bits } = get(name)
      for (let n = 0; n < disk.repeat; n++) {
        for (let at = 0; at < bits.length; at += disk.chunk) {
          const part = bits.subarray(at, at + disk.chunk)
          if (part[0] !== 0 || part.some((byte) => byte !== 0)) chunk(at, part)
        }
      }
    },
    ...(readOnly
      ? {}
      : {
          store: async (contents: readonly BitmapContent[]) => {
            await disk.hook(`store ${contents.map(({ name, auto }) => `${name}${auto ? '' : ' off'}`).join(', ')}`)
            for (const { name, granularity, auto, bits } of contents) {
              const all = new Uint8Array(disk.bitsBytes(granularity))
              for (let at = 0; at < all.length; at += disk.chunk) {
                const wanted = Math.min(disk.chunk, all.length - at)
                const part = bits(at, wanted)
                if (part === null) continue
                if (part.length !== wanted) throw new Error(`${part.length} bytes instead of ${wanted}`)
                all.set(part, at)
              }
              disk.bitmaps.set(name, { granularity, auto, inUse: false, bits: all })
            }
            list()
          },
          remove: async (name: string) => {
            await disk.hook(`remove ${name}`)
            get(name)
            disk.bitmaps.delete(name)
            listed = listed.filter((bitmap) => bitmap.name !== name)
          },
          assertStorable: ({ granularity }: { granularity: number }) => {
            if (granularity > 1 << 20) throw new BlockError('invalid', "Can't make bitmap 'x' persistent in 'disk': Granularity exceeds maximum (1048576 bytes)")
          },
        }),
  }
}
