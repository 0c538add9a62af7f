import { DONE } from '@blockloom/block-driver'

/** Clusters per bucket. */
const BUCKET = 64

/** Guest clusters `first` … `end - 1` whose mapping is about to change. @internal */
export interface Flight {
  readonly first: number
  readonly end: number
  /** Resolves, never rejects, when the mapping has changed or the attempt was given up. */
  readonly done: Promise<void>
  /** Lets the others go on. */
  finish(): void
}

/**
 * Changes of mappings that wait for I/O: at most one per guest cluster. Others who would change the same cluster wait
 * for it; everything else goes on.
 *
 * @internal
 */
export class InFlight {
  readonly #buckets = new Map<number, Flight[]>()
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The flight that has one of the clusters `first` … `end - 1`, the lowest such cluster if there are several. */
  find(first: number, end: number): Flight | undefined {
    if (this.#size === 0) return undefined
    for (let bucket = Math.floor(first / BUCKET); bucket * BUCKET < end; bucket++) {
      let lowest: Flight | undefined
      for (const flight of this.#buckets.get(bucket) ?? NONE) {
        if (flight.first < end && first < flight.end && (lowest === undefined || flight.first < lowest.first)) lowest = flight
      }
      if (lowest !== undefined) return lowest
    }
    return undefined
  }

  /** Claims clusters; nobody else has one of them. */
  add(first: number, end: number): Flight {
    const flight = new Claim(first, end, (claim) => this.#remove(claim))
    this.#size++
    for (let bucket = Math.floor(first / BUCKET); bucket * BUCKET < end; bucket++) {
      const there = this.#buckets.get(bucket)
      if (there === undefined) this.#buckets.set(bucket, [flight])
      else there.push(flight)
    }
    return flight
  }

  #remove(flight: Flight): void {
    this.#size--
    for (let bucket = Math.floor(flight.first / BUCKET); bucket * BUCKET < flight.end; bucket++) {
      const there = this.#buckets.get(bucket)!
      if (there.length === 1) this.#buckets.delete(bucket)
      else there.splice(there.indexOf(flight), 1)
    }
  }
}

const NONE: readonly Flight[] = []

class Claim implements Flight {
  readonly first: number
  readonly end: number
  readonly #remove: (claim: Flight) => void
  /** Most claims are over before anybody waits for them. */
  #waited: PromiseWithResolvers<void> | null = null
  #finished = false

  constructor(first: number, end: number, remove: (claim: Flight) => void) {
    this.first = first
    this.end = end
    this.#remove = remove
  }

  get done(): Promise<void> {
    if (this.#finished) return DONE
    this.#waited ??= Promise.withResolvers<void>()
    return this.#waited.promise
  }

  finish(): void {
    this.#finished = true
    this.#remove(this)
    this.#waited?.resolve()
  }
}
