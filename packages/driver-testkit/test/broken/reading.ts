import { ToyImage } from '../toy/toy-image.ts'
import type { Broken } from './broken.ts'

export const brokenReads: readonly Broken[] = [
  {
    fault: 'a read leaves the last byte of its buffer alone',
    caughtBy: ['read: fills exactly what was asked, at every edge of a cluster', 'open: what was written is there after close and open'],
    changes: {
      instance: (_image, right) => ({
        read: async (offset, into, flags) => {
          await right.read(offset, into.length > 1 ? into.subarray(0, into.length - 1) : into, flags)
        },
      }),
    },
  },
  {
    fault: 'a read that crosses the edge of a cluster is off by one',
    caughtBy: ['read: fills exactly what was asked, at every edge of a cluster'],
    changes: {
      Image: class extends ToyImage {
        override async read(offset: number, into: Uint8Array): Promise<void> {
          const first = this.cluster - (offset % this.cluster)
          await super.read(offset, into.subarray(0, Math.min(first, into.length)))
          if (into.length > first) await super.read(offset + first + 1, into.subarray(first))
        }
      },
    },
  },
  {
    fault: 'a read writes behind its buffer',
    caughtBy: ['read: fills exactly what was asked, at every edge of a cluster'],
    changes: {
      instance: (_image, right) => ({
        read: async (offset, into, flags) => {
          await right.read(offset, into, flags)
          new Uint8Array(into.buffer, into.byteOffset + into.length, 1)[0] = 0
        },
      }),
    },
  },
  {
    fault: 'a cache of clusters is not told of writes',
    caughtBy: ['write: random operations against a byte array', 'write: again over what is there, at every edge of a cluster'],
    changes: {
      Image: class extends ToyImage {
        readonly #cache = new Map<number, Uint8Array>()

        override async readPart(index: number, start: number, into: Uint8Array): Promise<void> {
          let whole = this.#cache.get(index)
          if (!whole) {
            whole = new Uint8Array(this.cluster)
            await super.readPart(index, 0, whole)
            this.#cache.set(index, whole)
          }
          into.set(whole.subarray(start, start + into.length))
        }
      },
    },
  },
  {
    fault: 'the buffer of a read is kept as a cache',
    caughtBy: ['read: fills exactly what was asked, at every edge of a cluster'],
    changes: {
      instance: (_image, right) => {
        let kept: { offset: number; bytes: Uint8Array } | undefined
        return {
          read: async (offset, into, flags) => {
            if (kept?.offset === offset && kept.bytes.length === into.length) into.set(kept.bytes)
            else await right.read(offset, into, flags)
            kept = { offset, bytes: into }
          },
        }
      },
    },
  },
  {
    fault: 'two reads at once share one bounce buffer',
    caughtBy: ['read: the same bytes in any order and all at once'],
    changes: {
      instance: (_image, right) => {
        const bounce = new Uint8Array(1048576)
        return {
          read: async (offset, into, flags) => {
            await right.read(offset, bounce.subarray(0, into.length), flags)
            await Promise.resolve()
            into.set(bounce.subarray(0, into.length))
          },
        }
      },
    },
  },
]
