import { BlockError, ChildRole } from '@blockloom/block-driver'
import { ToyImage } from '../toy/toy-image.ts'
import { TOY_FACETS } from '../toy/toy-driver.ts'
import type { Broken } from './broken.ts'

const OPEN_FAILS = 'open: any request to a child may fail; then open fails and leaves nothing behind'

export const brokenLifecycles: readonly Broken[] = [
  {
    fault: 'an open that fails leaves a request in flight',
    caughtBy: [OPEN_FAILS],
    changes: {
      Image: class extends ToyImage {
        override async load(tolerant?: boolean): Promise<void> {
          const ahead = this.file.read(0, new Uint8Array(65536))
          await super.load(tolerant)
          await ahead
        }
      },
    },
  },
  {
    fault: 'an open that fails leaves a timer running',
    caughtBy: [OPEN_FAILS],
    changes: {
      open: async (context, right) => {
        const done = new AbortController()
        context.clock.sleep(1000, done.signal).catch(() => {})
        const opened = await right()
        done.abort()
        return opened
      },
    },
  },
  {
    fault: 'an open that fails throws whatever it was',
    caughtBy: [OPEN_FAILS],
    changes: {
      open: (_context, right) => right().catch((error: unknown) => {
        throw new TypeError('cannot open', { cause: error })
      }),
    },
  },
  {
    fault: 'an aborted open hides the reason',
    caughtBy: ['open: aborted at any point, it ends with the reason of the signal or opens as if nothing were'],
    changes: {
      open: async (context, right) => {
        const opened = await right()
        if (context.signal?.aborted) throw new BlockError('io', 'interrupted')
        return opened
      },
    },
  },
  {
    fault: 'close begins a write and does not wait for it',
    caughtBy: ['open: an image has its size, as a number that stays, and closes', 'open: what was written is there after close and open'],
    changes: {
      Image: class extends ToyImage {
        override async close(): Promise<void> {
          if (!this.readOnly) this.file.write(0, new Uint8Array(1)).catch(() => {})
        }
      },
    },
  },
  {
    fault: 'a background task writes after close',
    caughtBy: ['open: an image has its size, as a number that stays, and closes'],
    changes: {
      Image: class extends ToyImage {
        override async close(): Promise<void> {
          void Promise.resolve().then(() => this.file.flush('stable')).catch(() => {})
        }
      },
    },
  },
  {
    fault: 'size() counts up',
    caughtBy: ['open: an image has its size, as a number that stays, and closes'],
    changes: {
      instance: (image) => {
        let calls = 0
        return { size: () => image.header.size + calls++ }
      },
    },
  },
  {
    fault: 'size() is a promise',
    caughtBy: ['open: an image has its size, as a number that stays, and closes'],
    changes: { instance: (image) => ({ size: async () => image.header.size }) },
  },
  {
    fault: 'a read-only image marks the header',
    caughtBy: ['read-only: nothing is written below, whatever is asked'],
    changes: {
      Image: class extends ToyImage {
        override async load(tolerant?: boolean): Promise<void> {
          await super.load(tolerant)
          await this.file.write(508, new Uint8Array([1])).catch(() => {})
        }
      },
    },
  },
  {
    fault: 'a read-only image can be discarded',
    caughtBy: ['read-only: has nothing that changes the image'],
    changes: { instance: () => ({ discard: async () => 'unsupported' }) },
  },
  {
    fault: 'the limits are no powers of two',
    caughtBy: ['open: the limits are sane and constant'],
    changes: { instance: (_image, right) => ({ limits: { ...right.limits, zeroAlignment: 3 } }) },
  },
  {
    fault: 'a facet is missing that the fixture counts on',
    caughtBy: ['facets: exactly those that the fixture lists, and each one whole'],
    changes: { instance: () => ({ check: undefined }) as never },
  },
  {
    fault: 'half of a facet',
    caughtBy: ['facets: exactly those that the fixture lists, and each one whole'],
    changes: { instance: (_image, right) => ({ snapshots: { list: () => right.snapshots!.list() } as never }) },
  },
  {
    fault: 'a facet that nobody lists',
    caughtBy: ['facets: exactly those that the fixture lists, and each one whole', 'check: a new image and one that was written to are sound, and checking changes nothing'],
    changes: {},
    facets: TOY_FACETS.filter((facet) => facet !== 'check'),
  },
  {
    fault: 'asks for a child that its table does not declare',
    caughtBy: ['open: an image has its size, as a number that stays, and closes'],
    changes: {
      open: async (context, right) => {
        await context.optionalChild('journal', { role: ChildRole.METADATA })
        return right()
      },
    },
  },
  {
    fault: 'the backing file is written to',
    caughtBy: ['backing: absent ranges read through to a file of the same length, writes keep the rest of their cluster'],
    changes: {
      Image: class extends ToyImage {
        override async writePart(index: number, start: number, from: Uint8Array): Promise<void> {
          if (this.entries[index] === 0) await this.backing.current?.write(index * this.cluster + start, from).catch(() => {})
          await super.writePart(index, start, from)
        }
      },
    },
  },
  {
    fault: 'the backing file is looked up once, at open',
    caughtBy: ['backing: the child may come and go while the image is open, and is never written to'],
    changes: {
      Image: class extends ToyImage {
        #first: ToyImage['backing']['current'] | undefined

        override async readBacking(offset: number, into: Uint8Array): Promise<void> {
          this.#first ??= this.backing.current
          into.fill(0)
          const bytes = Math.min(into.length, this.header.size - offset)
          if (bytes > 0) await this.#first?.read(offset, into.subarray(0, bytes))
        }
      },
    },
  },
  {
    fault: 'a damaged header ends in a RangeError',
    caughtBy: ['hostile: a damaged image opens or is refused with a BlockError, and never hangs'],
    changes: {
      Image: class extends ToyImage {
        override async load(tolerant?: boolean): Promise<void> {
          const head = new Uint8Array(512)
          await this.file.read(0, head)
          new DataView(head.buffer).getUint8(new DataView(head.buffer).getUint32(28))
          await super.load(tolerant)
        }
      },
    },
  },
  {
    fault: 'info() has what JSON cannot carry',
    caughtBy: ['info: survives JSON, in every mode'],
    changes: { instance: () => ({ info: async () => ({ clusters: 5n }) }) },
  },
  {
    fault: 'invalidate keeps what was read before',
    caughtBy: ['invalidate: another process has changed the image'],
    changes: { instance: () => ({ invalidate: async () => {} }) },
  },
  {
    fault: 'check finds trouble in a sound image',
    caughtBy: ['check: a new image and one that was written to are sound, and checking changes nothing'],
    changes: { instance: () => ({ check: { check: async () => ({ corruptions: 0, leaks: 1, checkErrors: 0, corruptionsFixed: 0, leaksFixed: 0 }) } }) },
  },
]
