import { defineDriver, limits, option, type Instance } from '@blockloom/block-driver'
import { createMemoryDisk, type MemoryDisk } from '@blockloom/protocol-memory'

/** Requests that one mutant may make of its files: more is a loop that the image controls. */
const MOST_REQUESTS = 40_000
/** Bytes that it may read and write. */
const MOST_BYTES = 1 << 30
/** Bytes of one request. */
const LONGEST_REQUEST = 64 << 20

/** The files of a mutant, and how much it may still do with them. */
export class MutantFiles {
  readonly #files = new Map<string, MemoryDisk>()
  #requests = 0
  #bytes = 0
  largest = 0

  constructor(files: Readonly<Record<string, Uint8Array | undefined>>) {
    for (const [name, bytes] of Object.entries(files)) if (bytes !== undefined) this.#files.set(name, createMemoryDisk(bytes))
  }

  open(name: string): MemoryDisk {
    return this.#files.get(name)!
  }

  /** Memory of all files. */
  get allocated(): number {
    return [...this.#files.values()].reduce((sum, file) => sum + file.allocatedSize, 0)
  }

  /** Not a BlockError: nobody may catch it for one. */
  spend(bytes: number): void {
    this.#requests++
    this.#bytes += bytes
    this.largest = Math.max(this.largest, bytes)
    if (this.#requests > MOST_REQUESTS) throw new RangeError(`endless: more than ${MOST_REQUESTS} requests`)
    if (this.#bytes > MOST_BYTES) throw new RangeError(`endless: more than ${MOST_BYTES} bytes`)
    if (bytes > LONGEST_REQUEST) throw new RangeError(`a request of ${bytes} bytes`)
  }
}

/** A protocol over the files of one mutant that loses patience. */
export function mutantDriver(files: MutantFiles) {
  return defineDriver({
    name: 'mutant',
    kind: 'protocol',
    summary: 'a disk in memory with a budget',
    options: { name: option.string('Name of the file', { required: true }) },
    open: async ({ options, mode }) => mutantInstance(files, files.open(options.name), mode.readOnly),
  })
}

function mutantInstance(files: MutantFiles, disk: MemoryDisk, readOnly: boolean): Instance {
  const shown: Instance = {
    limits: limits(),
    size: () => disk.size,
    read: async (offset, into) => {
      files.spend(into.length)
      disk.read(offset, into)
    },
    extents: async (offset, bytes) => {
      files.spend(0)
      const run = disk.run(offset, bytes)
      return { kind: run.stored ? 'data' : 'zero', bytes: run.bytes }
    },
    close: async () => {},
    zeroInit: true,
  }
  if (readOnly) return shown
  return {
    ...shown,
    writer: {
      write: async (offset, from) => {
        files.spend(from.length)
        disk.write(offset, from)
      },
      flush: async () => files.spend(0),
    },
    zero: async (offset, bytes) => {
      files.spend(0)
      disk.zero(offset, bytes)
      return 'done'
    },
    discard: async (offset, bytes) => {
      files.spend(0)
      const inside = Math.min(bytes, disk.size - offset)
      if (inside > 0) disk.zero(offset, inside)
      return 'done'
    },
    resize: {
      preallocations: ['off'],
      resize: async (size) => {
        files.spend(0)
        disk.resize(size)
      },
    },
  }
}
