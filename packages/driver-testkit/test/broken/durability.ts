import { encodeHeader } from '../toy/on-disk.ts'
import { ToyImage } from '../toy/toy-image.ts'
import type { Broken } from './broken.ts'

const CRASHES = ['crash: power fails at any point of random requests on an image that was empty', 'crash: power fails at any point of random requests on an image that was filled']

export const brokenFlushes: readonly Broken[] = [
  {
    fault: 'flush writes the table and does not flush the file',
    caughtBy: ['flush: what was flushed survives the loss of everything that was not', 'flush: a write through (FUA, or followed by a flush) survives power loss'],
    changes: {
      Image: class extends ToyImage {
        override async commit(dirty: readonly (readonly [number, number])[]): Promise<void> {
          await this.writeEntries(dirty)
        }
      },
    },
  },
  {
    fault: 'flush leaves the table in memory, close writes it',
    caughtBy: ['flush: what was flushed survives the loss of everything that was not'],
    changes: {
      Image: class extends ToyImage {
        override async commit(): Promise<void> {
          await this.file.flush('stable')
        }

        override async close(): Promise<void> {
          if (this.readOnly) return
          await this.writeEntries(this.entries.map((entry, index) => [index, entry] as const))
          await this.file.flush('stable')
        }
      },
    },
  },
  {
    fault: 'the table is written before the data that it points at is stable',
    caughtBy: CRASHES,
    changes: {
      Image: class extends ToyImage {
        override async commit(dirty: readonly (readonly [number, number])[]): Promise<void> {
          await this.writeEntries(dirty)
          await this.file.flush('stable')
        }
      },
    },
  },
  {
    fault: 'a freed cluster is used again while the table on disk still names it',
    caughtBy: ['crash: freed space is not used again while the disk still says that it is in use'],
    changes: {
      Image: class extends ToyImage {
        override release(host: number): void {
          super.release(host)
          this.free.push(...this.released.splice(0))
        }
      },
    },
  },
  {
    fault: 'FUA is claimed and ignored',
    caughtBy: ['flush: a write through (FUA, or followed by a flush) survives power loss'],
    changes: { instance: (_image, right) => ({ ...(right.writer && { writer: { ...right.writer, honours: 1 } }) }) },
  },
  {
    fault: 'a flush that begins during another one returns with it',
    caughtBy: ['flush: what was flushed survives the loss of everything that was not'],
    changes: {
      Image: class extends ToyImage {
        #flushed = false

        override async flush(): Promise<void> {
          // Flushes once, and believes for ever that nothing is left to do.
          if (this.#flushed) return
          this.#flushed = true
          await super.flush()
        }
      },
    },
  },
]

/** The header names a new table or directory before that is stable. */
class HeaderFirst extends ToyImage {
  override async writeHeader(change: Partial<ToyImage['header']>): Promise<void> {
    const next = { ...this.header, ...change }
    await this.file.write(0, encodeHeader(next))
    this.header = next
    await this.file.flush('stable')
  }
}

export const brokenHeaders: readonly Broken[] = [
  {
    fault: 'the header names new metadata that is not yet stable',
    caughtBy: ['growing', 'taking a snapshot'].map((what) => `crash: power fails at any point of ${what}; no byte of the guest is lost`),
    changes: { Image: HeaderFirst },
  },
]

export const brokenErrors: readonly Broken[] = [
  {
    fault: 'a failed write is reported as done',
    caughtBy: ['errors: any request below a write to a new cluster fails; the rest stays and later requests work', 'errors: when every change fails, requests and flush fail, and close still ends'],
    changes: {
      Image: class extends ToyImage {
        override async writePart(index: number, start: number, from: Uint8Array): Promise<void> {
          await super.writePart(index, start, from).catch(() => {})
        }

        override flush(): Promise<void> {
          return super.flush().catch(() => {})
        }
      },
    },
  },
  {
    fault: 'after an error every later request to the cluster waits for ever',
    caughtBy: ['errors: any request below a write to a new cluster fails; the rest stays and later requests work'],
    changes: {
      Image: class extends ToyImage {
        readonly #held = new Map<number | string, Promise<unknown>>()

        override async locked<T>(key: number | string, work: () => Promise<T>): Promise<T> {
          await this.#held.get(key)
          const { promise, resolve } = Promise.withResolvers<void>()
          this.#held.set(key, promise)
          const result = await work()
          this.#held.delete(key)
          resolve()
          return result
        }
      },
    },
  },
  {
    fault: 'an error is passed on as text',
    caughtBy: ['errors: any read below fails; the request fails and a later one works'],
    changes: {
      instance: (_image, right) => ({
        read: async (offset, into, flags) => {
          await right.read(offset, into, flags).catch((error: unknown) => {
            throw new Error(`read failed: ${String(error)}`)
          })
        },
      }),
    },
  },
  {
    fault: 'the entry is set although the data could not be written',
    caughtBy: ['errors: any request below a write to a new cluster fails; the rest stays and later requests work'],
    changes: {
      Image: class extends ToyImage {
        override async replace(index: number, whole: Uint8Array, flags: number): Promise<void> {
          const host = this.allocate()
          this.refs.set(host, 1)
          this.point(index, host + flags)
          await this.file.write(host, whole)
        }
      },
    },
  },
  {
    fault: 'a failed flush forgets what it had to write',
    caughtBy: ['errors: any request below a write over old and new clusters fails; the rest stays and later requests work'],
    changes: {
      Image: class extends ToyImage {
        override async flush(): Promise<void> {
          try {
            await super.flush()
          } catch (error) {
            this.dirty.clear()
            throw error
          }
        }
      },
    },
  },
]
