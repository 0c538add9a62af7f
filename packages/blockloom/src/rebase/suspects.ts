/** A range in which two chains may differ. @internal */
export interface Suspect {
  readonly from: number
  readonly to: number
  /** All zeroes in the old chain, without looking. */
  readonly oldZero: boolean
  /** The same of the new one. */
  readonly newZero: boolean
}

/**
 * Gathers ranges that have to be compared into pieces: whole units of the overlay, so that nothing has to be read
 * around what is written, and long, so that there are few requests.
 *
 * @internal
 */
export class Suspects {
  readonly #unit: number
  readonly #piece: number
  #pending: Suspect | null = null
  /** Everything in front of this has been given out. */
  #given = 0

  /** @param piece - longest piece, a multiple of `unit` */
  constructor(unit: number, piece: number) {
    this.#unit = unit
    this.#piece = piece
  }

  /** Where what was taken and not given out begins; Infinity if there is nothing. */
  get pendingFrom(): number {
    return this.#pending?.from ?? Infinity
  }

  /**
   * Takes a range, in ascending order; returns what is complete.
   *
   * @param bounds - where the overlay has nothing of its own: the range is not widened beyond that
   */
  *add(range: Suspect, bounds: { readonly from: number; readonly to: number }): Generator<Suspect> {
    const unit = this.#unit
    const from = Math.max(range.from - (range.from % unit), bounds.from, this.#given)
    const to = Math.min(Math.ceil(range.to / unit) * unit, bounds.to)
    // What the range is widened by is not known to be zeroes: it may be anything that both chains have.
    const head = from < range.from ? Math.min(range.from - (range.from % unit) + unit, to) : from
    const tail = to > range.to ? Math.max(range.to - (range.to % unit), head) : to
    if (from < head) yield* this.#take({ from, to: head, oldZero: false, newZero: false })
    if (head < tail) yield* this.#take({ ...range, from: head, to: tail })
    if (tail < to) yield* this.#take({ from: tail, to, oldZero: false, newZero: false })
  }

  *#take(range: Suspect): Generator<Suspect> {
    const { from, to } = range
    const pending = this.#pending
    if (pending === null) {
      this.#pending = range
    } else if (from < pending.to || (from === pending.to && sameKind(pending, range))) {
      // Ranges that share a unit are compared together, with what is known about both.
      this.#pending = { from: pending.from, to: Math.max(to, pending.to), oldZero: pending.oldZero && range.oldZero, newZero: pending.newZero && range.newZero }
    } else {
      yield* this.flush()
      this.#pending = range
    }
    yield* this.#whole()
  }

  /** The rest. */
  *flush(): Generator<Suspect> {
    yield* this.#whole()
    if (this.#pending === null) return
    yield this.#give(this.#pending)
    this.#pending = null
  }

  /** Pieces end at multiples of their length; the last unit stays, more of it may come. */
  *#whole(): Generator<Suspect> {
    for (let pending = this.#pending; pending !== null; pending = this.#pending) {
      const end = pending.from - (pending.from % this.#piece) + this.#piece
      if (end >= pending.to) return
      this.#pending = { ...pending, from: end }
      yield this.#give({ ...pending, to: end })
    }
  }

  #give(suspect: Suspect): Suspect {
    this.#given = suspect.to
    return suspect
  }
}

function sameKind(a: Suspect, b: Suspect): boolean {
  return a.oldZero === b.oldZero && a.newZero === b.newZero
}
