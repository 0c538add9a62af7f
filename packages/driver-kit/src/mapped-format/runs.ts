import { type MappedFormatInit, type Mapping, continues, mappingAt } from './mapping.ts'

/**
 * Walks a range as runs that are as long as possible: neighbours whose places follow each other are one.
 *
 * @param most - ends a run after so many entries of the map, so that one call does not walk a whole disk
 * @internal
 */
export class Runs {
  readonly #init: MappedFormatInit
  readonly #end: number
  readonly #most: number
  #at: number
  #ahead: Mapping | undefined

  constructor(init: MappedFormatInit, offset: number, bytes: number, most = Infinity) {
    this.#init = init
    this.#at = offset
    this.#end = offset + bytes
    this.#most = most
  }

  /** The next run, or `undefined` at the end of the range. */
  async next(): Promise<Mapping | undefined> {
    if (this.#at >= this.#end) return undefined
    let run = this.#ahead ?? (await mappingAt(this.#init, this.#at, this.#end - this.#at))
    this.#ahead = undefined
    for (let entries = 1; this.#at + run.bytes < this.#end && entries < this.#most; entries++) {
      const after = this.#at + run.bytes
      const found = mappingAt(this.#init, after, this.#end - after)
      const next = found instanceof Promise ? await found : found
      if (!continues(run, next)) {
        this.#ahead = next
        break
      }
      run = { ...run, bytes: run.bytes + next.bytes }
    }
    this.#at += run.bytes
    return run
  }
}
