import { ToyImage } from '../toy/toy-image.ts'
import type { Broken } from './broken.ts'

export const brokenWrites: readonly Broken[] = [
  {
    fault: 'the buffer of a write is kept and stored at the next flush',
    caughtBy: ['open: what was written is there after close and open', 'write: at every edge of a cluster, touching nothing else'],
    changes: {
      Image: class extends ToyImage {
        #late: { index: number; start: number; from: Uint8Array }[] = []

        override async writePart(index: number, start: number, from: Uint8Array): Promise<void> {
          this.#late.push({ index, start, from })
        }

        override async readPart(index: number, start: number, into: Uint8Array): Promise<void> {
          await super.readPart(index, start, into)
          for (const late of this.#late) {
            if (late.index !== index) continue
            for (let i = 0; i < late.from.length; i++) {
              const at = late.start + i - start
              if (at >= 0 && at < into.length) into[at] = late.from[i]!
            }
          }
        }

        override async flush(): Promise<void> {
          for (const { index, start, from } of this.#late.splice(0)) await super.writePart(index, start, from)
          await super.flush()
        }
      },
    },
  },
  {
    fault: 'a freed cluster is used again while somebody still reads it',
    caughtBy: ['concurrency: readers of what is being given up see its old or its new bytes, never those of its next user'],
    changes: {
      Image: class extends ToyImage {
        override async read(offset: number, into: Uint8Array): Promise<void> {
          await Promise.all([...this.parts(offset, into.length)].map(([index, start, at, bytes]) => this.readPart(index, start, into.subarray(at, at + bytes))))
        }
      },
    },
  },
  {
    fault: 'a write encrypts in the buffer that it was lent',
    caughtBy: ['write: at every edge of a cluster, touching nothing else'],
    changes: {
      instance: (image, right) => ({
        writer: {
          ...right.writer!,
          write: async (offset, from) => {
            await image.write(offset, from)
            from.fill(from[0]! ^ 0x55)
          },
        },
      }),
    },
  },
  {
    fault: 'copy-on-write forgets the tail of the cluster',
    caughtBy: ['backing: absent ranges read through to a file of the same length, writes keep the rest of their cluster', 'backing: many writers into the same absent cluster'],
    changes: {
      Image: class extends ToyImage {
        override async readBacking(offset: number, into: Uint8Array): Promise<void> {
          await super.readBacking(offset, into)
          if (into.length === this.cluster) into.fill(0, into.length - 512)
        }
      },
    },
  },
  {
    fault: 'two writers of one cluster allocate it twice',
    caughtBy: ['concurrency: writers of disjoint parts of the same and neighbouring clusters'],
    changes: {
      Image: class extends ToyImage {
        override async locked<T>(key: number | string, work: () => Promise<T>): Promise<T> {
          return typeof key === 'string' ? super.locked(key, work) : work()
        }
      },
    },
  },
  {
    fault: 'a write into new clusters loses its last sector',
    caughtBy: ['write: at every edge of a cluster, touching nothing else', 'write: random operations against a byte array'],
    changes: {
      Image: class extends ToyImage {
        override async replace(index: number, whole: Uint8Array, flags: number): Promise<void> {
          await super.replace(index, flags === 0 ? whole.subarray(0, whole.length - 512) : whole, flags)
        }
      },
    },
  },
  {
    fault: 'a write that ends at the edge of a cluster touches the next one',
    caughtBy: ['write: again over what is there, at every edge of a cluster', 'write: random operations against a byte array'],
    changes: {
      Image: class extends ToyImage {
        override async writePart(index: number, start: number, from: Uint8Array): Promise<void> {
          await super.writePart(index, start, from)
          if (start + from.length === this.cluster && index + 1 < this.clusters) await super.writePart(index + 1, 0, new Uint8Array(1))
        }
      },
    },
  },
  {
    fault: 'writing into a compressed cluster drops the rest of it',
    caughtBy: ['compress: writing a part of a compressed cluster keeps the rest, its neighbours and the image sound'],
    changes: {
      Image: class extends ToyImage {
        override async writePart(index: number, start: number, from: Uint8Array): Promise<void> {
          const isEncoded = this.entries[index]! % 512 === 2
          if (isEncoded) this.point(index, 1)
          await super.writePart(index, start, from)
        }
      },
    },
  },
  {
    fault: 'writes go through to the clusters of a snapshot',
    caughtBy: ['snapshots: keep the disk as it was, by id and by name, through writes, close and open'],
    changes: {
      Image: class extends ToyImage {
        override countReferences(tolerant: boolean): void {
          super.countReferences(tolerant)
          for (const host of this.refs.keys()) this.refs.set(host, 1)
        }
      },
    },
  },
]
