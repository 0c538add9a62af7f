import type { Extent } from '@blockloom/block-driver'
import { ZERO } from '../toy/on-disk.ts'
import { hostOf, ToyImage } from '../toy/toy-image.ts'
import type { Broken } from './broken.ts'

const COVER = 'extents: cover the image in runs that agree with what is read'
const ASKED = 'extents: never more than asked, wherever one asks'

function extents(change: (right: Extent, offset: number, bytes: number) => Extent): Broken['changes'] {
  return { instance: (image) => ({ extents: async (offset, bytes) => change(await image.extents(offset, bytes), offset, bytes) }) }
}

export const brokenExtents: readonly Broken[] = [
  { fault: 'an extent is as long as its cluster, whatever was asked', caughtBy: [ASKED], changes: extents((right) => ({ ...right, bytes: 4096 })) },
  { fault: 'an extent of no bytes', caughtBy: [COVER], changes: extents((right) => ({ ...right, bytes: 0 })) },
  { fault: 'data is claimed to be zero', caughtBy: [COVER, ASKED], changes: extents((right) => (right.kind === 'data' ? { kind: 'zero', bytes: right.bytes } : right)) },
  { fault: 'data is claimed to be absent', caughtBy: [COVER, ASKED], changes: extents((right) => (right.kind === 'data' ? { kind: 'absent', bytes: right.bytes } : right)) },
  {
    fault: 'the host offset is that of the cluster, not of the byte',
    caughtBy: [ASKED],
    changes: extents((right, offset) => (right.kind === 'data' && right.host ? { ...right, host: { ...right.host, offset: right.host.offset - (offset % 4096) } } : right)),
  },
  {
    fault: 'encoded clusters are claimed to be plain data',
    caughtBy: ['compress: what is written compressed reads back, whether it shrinks or not'],
    changes: {
      Image: class extends ToyImage {
        override extentOf(entry: number, start: number, bytes: number): Extent {
          return super.extentOf(entry % 512 === 2 ? entry - 2 : entry, start, bytes)
        }
      },
    },
  },
]

export const brokenZeroes: readonly Broken[] = [
  {
    fault: 'zero only unmaps: with a backing file its data shows again',
    caughtBy: ['backing: zeroes hide what is below'],
    changes: {
      Image: class extends ToyImage {
        override point(index: number, entry: number): void {
          super.point(index, entry === ZERO ? 0 : entry)
        }
      },
    },
  },
  {
    fault: 'zero of a part of a cluster zeroes all of it',
    caughtBy: ['zero: reads as zeroes and leaves the rest alone', 'write: random operations against a byte array'],
    changes: {
      Image: class extends ToyImage {
        override async zeroPart(index: number): Promise<void> {
          this.point(index, ZERO)
        }
      },
    },
  },
  {
    fault: 'zero skips the last partial cluster',
    caughtBy: ['zero: reads as zeroes and leaves the rest alone', 'zero: reads as zeroes and leaves the rest alone with MAY_UNMAP'],
    changes: {
      Image: class extends ToyImage {
        override async zeroPart(index: number, start: number, bytes: number): Promise<void> {
          if (index === this.clusters - 1 && start === 0) return
          await super.zeroPart(index, start, bytes)
        }
      },
    },
  },
  {
    fault: 'zero does half of it and then answers unsupported',
    caughtBy: ['zero: reads as zeroes and leaves the rest alone with NO_FALLBACK'],
    changes: {
      instance: (image, right) => ({
        ...(right.zero && {
          zero: async (offset, bytes) => {
            if (bytes > image.cluster) {
              await image.zero(offset, image.cluster)
              return 'unsupported'
            }
            return image.zero(offset, bytes)
          },
        }),
      }),
    },
  },
  {
    fault: 'discard frees a cluster of which only a part was named',
    caughtBy: ['discard: other bytes stay, the discarded ones are old, zero or what the child makes of them'],
    changes: {
      instance: (image, right) => ({
        ...(right.discard && {
          discard: (offset, bytes) => {
            const start = offset - (offset % image.cluster)
            return image.discard(start, Math.ceil((offset + bytes - start) / image.cluster) * image.cluster)
          },
        }),
      }),
    },
  },
  {
    fault: 'discard frees a cluster twice',
    caughtBy: ['discard: other bytes stay, the discarded ones are old, zero or what the child makes of them'],
    changes: {
      Image: class extends ToyImage {
        override release(host: number): void {
          super.release(host)
          if (this.released.at(-1) === host) this.released.push(host)
        }
      },
    },
  },
]

const EMPTY_CRASH = 'crash: power fails at any point of making an image empty; each byte is there or shows what is below'

export const brokenEmptyings: readonly Broken[] = [
  {
    fault: 'making an image empty zeroes it: what is below stays hidden',
    caughtBy: ['makeEmpty: shows what is below, everywhere'],
    changes: { instance: (image, right) => ({ ...(right.makeEmpty && { makeEmpty: async () => void (await image.zero(0, image.header.size)) }) }) },
  },
  {
    fault: 'making an image empty forgets that snapshots share its clusters',
    caughtBy: ['makeEmpty: leaves zeroes where nothing is below, snapshots as they are, and an image that can be written'],
    changes: {
      instance: (image, right) => ({
        ...(right.makeEmpty && {
          makeEmpty: async () => {
            image.refs.clear()
            image.entries.forEach((entry, index) => {
              if (hostOf(entry) !== 0) image.free.push(hostOf(entry))
              image.setEntry(index, 0)
            })
            await image.flush()
          },
        }),
      }),
    },
  },
  {
    fault: 'making an image empty throws the data away before the table has forgotten it',
    caughtBy: [EMPTY_CRASH],
    changes: {
      instance: (image, right) => ({
        ...(right.makeEmpty && {
          makeEmpty: async () => {
            for (const entry of image.entries) if (hostOf(entry) !== 0) await image.file.write(hostOf(entry), new Uint8Array(image.cluster))
            await image.file.flush('stable')
            await image.makeEmpty()
          },
        }),
      }),
    },
  },
]

const AMEND = 'amend: changes options and no byte of the guest'

export const brokenAmends: readonly Broken[] = [
  {
    fault: 'amend reports less than before',
    caughtBy: [AMEND],
    changes: {
      instance: (_image, right) => ({
        ...(right.amend && {
          amend: {
            amend: async (options, how) => {
              how.progress(2, 3)
              await right.amend!.amend(options, how)
            },
          },
        }),
      }),
    },
  },
  {
    fault: 'amend is done before it says so',
    caughtBy: [AMEND],
    changes: { instance: (_image, right) => ({ ...(right.amend && { amend: { amend: async (_options, how) => how.progress(1, 2) } }) }) },
  },
  {
    fault: 'amend drops a cluster',
    caughtBy: [AMEND],
    changes: {
      instance: (image, right) => ({
        ...(right.amend && {
          amend: {
            amend: async (options, how) => {
              await right.amend!.amend(options, how)
              image.point(0, 0)
            },
          },
        }),
      }),
    },
  },
]

export const brokenResizes: readonly Broken[] = [
  {
    fault: 'a shrunk image shows the old bytes when it grows again',
    caughtBy: ['resize: shrinks and grows again without showing what was there, or refuses and changes nothing'],
    changes: { instance: (image, right) => (right.writer ? { resize: { preallocations: ['off'], resize: (size) => image.writeHeader({ size }) } } : {}) },
  },
  {
    fault: 'the new size is not stored',
    caughtBy: ['resize: grows in steps, new bytes are zeroes, old ones stay'],
    changes: {
      Image: class extends ToyImage {
        override async writeHeader(change: Partial<ToyImage['header']>): Promise<void> {
          const { size } = this.header
          await super.writeHeader({ ...change, size })
          this.header = { ...this.header, size: change.size ?? size }
        }
      },
    },
  },
  {
    fault: 'growing loses the last partial cluster',
    caughtBy: ['resize: grows in steps, new bytes are zeroes, old ones stay'],
    changes: {
      instance: (image, right) => (right.resize
        ? {
            resize: {
              preallocations: ['off'],
              resize: async (size, options) => {
                const last = image.clusters - 1
                await right.resize!.resize(size, options)
                image.point(last, 0)
              },
            },
          }
        : {}),
    },
  },
  {
    fault: 'growing shows what a longer backing file has there',
    caughtBy: ['backing: growing over a longer backing file shows zeroes'],
    changes: {
      instance: (image, right) => (right.resize
        ? { resize: { preallocations: ['off'], resize: (size, options) => (size > image.header.size ? image.writeHeader({ size }) : right.resize!.resize(size, options)) } }
        : {}),
    },
  },
]
