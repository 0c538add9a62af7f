import { MemoryChild, type ChildEvent } from '../harness/memory-child.ts'
import type { Random } from '../harness/random.ts'

/** What can be on a disk when the power goes at some moment of a recording. */
export class PowerLoss {
  readonly #events: readonly ChildEvent[]
  /** With all events before {@link #covered}. */
  readonly #stable: MemoryChild
  #covered = 0
  #cut = 0

  constructor(base: Uint8Array, events: readonly ChildEvent[]) {
    this.#events = events
    this.#stable = new MemoryChild({ content: base })
  }

  /**
   * After `cut` events, which may not be less than the last time: all that a flush covers is there; of the rest some
   * writes are, some are not, and some are torn between sectors.
   */
  async after(cut: number, random: Random): Promise<MemoryChild> {
    for (; this.#cut < cut; this.#cut++) {
      const event = this.#events[this.#cut]!
      if (event.op === 'flush') for (; this.#covered < event.covers; this.#covered++) await apply(this.#stable, this.#events[this.#covered]!)
    }
    const disk = new MemoryChild({ content: this.#stable.content })
    const luck = random.pick([0, 0.1, 0.5, 0.9, 1])
    const tears = random.pick([0, 0.5])
    for (const event of this.#events.slice(this.#covered, cut)) {
      if (!random.chance(luck)) continue
      if (event.op === 'write' && random.chance(tears)) await writeTorn(disk, event.offset, event.bytes, random)
      else await apply(disk, event)
    }
    return disk
  }
}

async function apply(disk: MemoryChild, event: ChildEvent): Promise<void> {
  if (event.op === 'write') await disk.write(event.offset, event.bytes)
  else if (event.op === 'zero') await disk.zero(event.offset, event.length)
  else if (event.op === 'discard') await disk.discard(event.offset, event.length)
  else if (event.op === 'resize') await disk.resize(event.size)
}

async function writeTorn(disk: MemoryChild, offset: number, bytes: Uint8Array, random: Random): Promise<void> {
  const end = offset + bytes.length
  for (let at = offset; at < end; ) {
    const next = Math.min(end, at - (at % 512) + 512)
    if (random.chance(0.5)) await disk.write(at, bytes.subarray(at - offset, next - offset))
    at = next
  }
}
