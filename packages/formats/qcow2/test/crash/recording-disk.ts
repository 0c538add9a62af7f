import { defineDriver, limits, option, type Instance } from '@blockloom/block-driver'
import type { SeededRandom } from '@blockloom/oracle'

/** A change of a disk, and when it was asked for, took effect and was acknowledged, in ticks of the recorder. */
export interface Change {
  readonly kind: 'write' | 'fill' | 'resize'
  readonly offset: number
  /** Length of a fill; the new size of a resize. */
  readonly bytes: number
  readonly data: Uint8Array
  /** The byte of a fill: zeroes, or what a discard left behind. */
  readonly value: number
  readonly issued: number
  /** Infinity while it is in flight. */
  acknowledged: number
}

/** A flush that was completed: it covers what had been acknowledged when it started. */
export interface Flush {
  readonly started: number
  readonly done: number
}

const NOTHING = new Uint8Array(0)

/** Bytes in memory that know how long they are. */
class Bytes {
  #bytes: Uint8Array
  size: number

  constructor(content: Uint8Array, capacity = content.length) {
    this.#bytes = new Uint8Array(Math.max(capacity, content.length))
    this.#bytes.set(content)
    this.size = content.length
  }

  get content(): Uint8Array {
    return this.#bytes.subarray(0, this.size)
  }

  read(offset: number, into: Uint8Array): void {
    const from = this.#bytes.subarray(Math.min(offset, this.size), Math.min(offset + into.length, this.size))
    into.set(from)
    into.fill(0, from.length)
  }

  apply(change: Pick<Change, 'kind' | 'offset' | 'bytes' | 'data' | 'value'>): void {
    if (change.kind === 'resize') {
      if (change.bytes < this.size) this.#bytes.fill(0, change.bytes, this.size)
      this.#reserve(change.bytes)
      this.size = change.bytes
      return
    }
    const end = change.offset + (change.kind === 'write' ? change.data.length : change.bytes)
    this.#reserve(end)
    this.size = Math.max(this.size, end)
    if (change.kind === 'write') this.#bytes.set(change.data, change.offset)
    else this.#bytes.fill(change.value, change.offset, end)
  }

  #reserve(size: number): void {
    if (size <= this.#bytes.length) return
    if (size > 2 ** 28) throw new Error(`the recorded disk was asked to grow to ${size} bytes`)
    const larger = new Uint8Array(2 * size)
    larger.set(this.content)
    this.#bytes = larger
  }
}

/** Counts ticks and gives the disks their luck; one for all disks of a test. */
export class Recorder {
  readonly random: SeededRandom
  #ticks = 0

  constructor(random: SeededRandom) {
    this.random = random
  }

  /** The current tick. */
  get now(): number {
    return this.#ticks
  }

  /** Something happened. */
  tick(): number {
    return ++this.#ticks
  }
}

/** A disk whose every change and flush is remembered, with data. */
export class RecordingDisk {
  readonly recorder: Recorder
  /** In the order in which they took effect. */
  readonly changes: Change[] = []
  readonly flushes: Flush[] = []
  readonly #initial: Uint8Array
  readonly #now: Bytes

  constructor(recorder: Recorder, content: Uint8Array) {
    this.recorder = recorder
    this.#initial = content
    this.#now = new Bytes(content)
  }

  get size(): number {
    return this.#now.size
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    await this.#hops()
    this.#now.read(offset, into)
    await this.#hops()
  }

  async change(kind: Change['kind'], offset: number, bytes: number, from: Uint8Array = NOTHING, value = 0): Promise<void> {
    const issued = this.recorder.tick()
    const data = from.length === 0 ? NOTHING : from.slice()
    await this.#hops()
    const change: Change = { kind, offset, bytes, data, value, issued, acknowledged: Infinity }
    this.#now.apply(change)
    this.changes.push(change)
    await this.#hops()
    change.acknowledged = this.recorder.tick()
  }

  async flush(): Promise<void> {
    const started = this.recorder.tick()
    await this.#hops()
    this.flushes.push({ started, done: this.recorder.tick() })
  }

  /** What a discarded range reads as is not defined; sometimes it is what was there. */
  async discard(offset: number, bytes: number): Promise<void> {
    const inside = Math.min(bytes, this.size - offset)
    if (inside > 0) await this.change('fill', offset, inside, NOTHING, this.recorder.random.pick([0, 0xdd]))
  }

  /**
   * The bytes after the power went at tick `cut`. All that a completed flush covers is there. Of what was asked for
   * since, some is, some is not, and some is torn between sectors of 512 bytes; overlapping changes keep their order.
   */
  afterPowerLoss(cut: number, random: SeededRandom): Uint8Array {
    let stable = 0
    for (const flush of this.flushes) if (flush.done <= cut) stable = Math.max(stable, flush.started)
    const disk = new Bytes(this.#initial, this.#initial.length + (1 << 20))
    const luck = random.pick([0, 0.1, 0.5, 0.5, 0.9, 1])
    const tears = random.pick([0, 0.1, 0.5])
    for (const change of this.changes) {
      if (change.acknowledged <= stable) disk.apply(change)
      else if (change.issued > cut || !random.chance(luck)) continue
      else if (change.kind !== 'resize' && random.chance(tears)) applyTorn(disk, change, random)
      else disk.apply(change)
    }
    return disk.content
  }

  async #hops(): Promise<void> {
    for (let hops = this.recorder.random.below(5); hops > 0; hops--) await Promise.resolve()
  }
}

function applyTorn(disk: Bytes, change: Change, random: SeededRandom): void {
  const end = change.offset + (change.kind === 'write' ? change.data.length : change.bytes)
  for (let at = change.offset; at < end; ) {
    const next = Math.min(end, at - (at % 512) + 512)
    if (random.chance(0.5)) {
      const data = change.kind === 'write' ? change.data.subarray(at - change.offset, next - change.offset) : NOTHING
      disk.apply({ kind: change.kind, offset: at, bytes: next - at, data, value: change.value })
    }
    at = next
  }
}

/** A protocol over recording disks, by name. Its requests settle in an order that the recorder's seed decides. */
export function recordingDriver(disks: ReadonlyMap<string, RecordingDisk>) {
  return defineDriver({
    name: 'recording',
    kind: 'protocol',
    summary: 'a disk in memory that remembers what was done to it',
    options: { name: option.string('Name of the disk', { required: true }) },
    open: async ({ options }) => recordingInstance(disks.get(options.name)!),
  })
}

function recordingInstance(disk: RecordingDisk): Instance {
  return {
    limits: limits(),
    size: () => disk.size,
    read: (offset, into) => disk.read(offset, into),
    close: async () => {},
    zeroInit: true,
    writer: {
      write: (offset, from) => disk.change('write', offset, from.length, from),
      flush: async (scope) => {
        if (scope === 'stable') await disk.flush()
      },
    },
    zero: async (offset, bytes) => {
      await disk.change('fill', offset, bytes)
      return 'done'
    },
    discard: async (offset, bytes) => {
      await disk.discard(offset, bytes)
      return 'done'
    },
    resize: { preallocations: ['off'], resize: (size) => disk.change('resize', 0, size) },
  }
}
