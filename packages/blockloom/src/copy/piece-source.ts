import type { SourceMap, SourceRun } from './source-map.ts'

/** How a copy is cut into pieces. @internal */
export interface PieceRules {
  /** Longest piece of data, bytes. */
  readonly piece: number
  /** The target takes whole clusters of this many bytes only (it compresses); null if it takes anything. */
  readonly cluster: number | null
  /** Zeroes are copied as data. */
  readonly zeroesAreData: boolean
}

/**
 * Cuts sources into pieces: adjacent runs of data become one piece, up to a limit; all others stay as long as they are.
 *
 * The map is asked once for a run, however many pieces it has.
 *
 * @internal
 */
export class PieceSource {
  readonly #map: SourceMap
  readonly #rules: PieceRules
  /** What the map said last. */
  #known: SourceRun | null = null

  constructor(map: SourceMap, rules: PieceRules) {
    this.#map = map
    this.#rules = rules
  }

  /** The piece that starts at `offset`; no promise if the map needs not wait. */
  at(offset: number): SourceRun | Promise<SourceRun> {
    const first = this.run(offset)
    return first instanceof Promise ? first.then((run) => this.#piece(run)) : this.#piece(first)
  }

  /** The whole run at `offset`, as the target will take it. */
  run(offset: number): SourceRun | Promise<SourceRun> {
    const known = this.#known
    if (known === null || offset < known.offset || offset >= known.offset + known.bytes) {
      const run = this.#map.run(offset, this.#map.size - offset)
      return run instanceof Promise ? run.then((found) => this.#keep(found)) : this.#keep(run)
    }
    return this.#whole(offset === known.offset ? known : { kind: known.kind, offset, bytes: known.offset + known.bytes - offset })
  }

  #keep(run: SourceRun): SourceRun {
    this.#known = run
    return this.#whole(run)
  }

  /** Zeroes start at a cluster, if clusters are what counts. */
  #whole(run: SourceRun): SourceRun {
    const { cluster, zeroesAreData } = this.#rules
    if (run.kind === 'data') return run
    if (zeroesAreData) return run.kind === 'backing' ? run : { ...run, kind: 'data' }
    if (cluster === null || run.offset + run.bytes === this.#map.size) return run
    const whole = run.bytes - ((run.offset + run.bytes) % cluster)
    return whole > 0 ? { ...run, bytes: whole } : { ...run, kind: 'data' }
  }

  #piece(run: SourceRun): SourceRun | Promise<SourceRun> {
    if (run.kind !== 'data') return run
    const { piece, cluster } = this.#rules
    const { offset } = run
    const most = piece - (cluster === null ? 0 : offset % piece)
    let bytes = Math.min(run.bytes, most)
    // A piece that ends inside a cluster takes the rest of it along.
    if (cluster !== null) return { ...run, bytes: Math.min(Math.ceil((offset + bytes) / cluster) * cluster, this.#map.size) - offset }
    while (bytes < most && offset + bytes < this.#map.size) {
      const more = this.run(offset + bytes)
      // Then it is known, and asked again at once.
      if (more instanceof Promise) return more.then(() => this.#piece({ ...run, bytes }))
      if (more.kind !== 'data') break
      bytes = Math.min(bytes + more.bytes, most)
    }
    return bytes === run.bytes ? run : { kind: 'data', offset, bytes }
  }
}
