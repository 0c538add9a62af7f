/** What a request does, for notifiers and statistics. @public */
export type RequestKind = 'read' | 'write' | 'zero' | 'discard' | 'resize'

/** A request in flight on a node whose requests may have to wait for each other. @internal */
export class TrackedRequest {
  readonly kind: RequestKind
  /** The range that counts for overlaps: a serialising request covers whole alignment blocks. */
  start: number
  end: number
  serialising = false
  /** Past its waits: others that come later wait for it, and it no longer waits for them. */
  started = false
  waitingFor: TrackedRequest | null = null
  readonly sequence: number
  /** The request that issued this one and waits for it; never waited for. */
  readonly within: TrackedRequest | null
  #finished: { promise: Promise<void>; resolve: () => void } | null = null

  constructor(kind: RequestKind, start: number, end: number, sequence: number, within: TrackedRequest | null) {
    this.kind = kind
    this.start = start
    this.end = end
    this.sequence = sequence
    this.within = within
  }

  /** Settles when the request has ended; made only if somebody waits. */
  get finished(): Promise<void> {
    if (this.#finished === null) {
      let resolve!: () => void
      const promise = new Promise<void>((r) => {
        resolve = r
      })
      this.#finished = { promise, resolve }
    }
    return this.#finished.promise
  }

  finish(): void {
    this.#finished?.resolve()
  }
}

/**
 * Requests in flight, and the waits between overlapping ones of which at least one is serialising
 * (read-modify-write, copy-on-read). First come, first served. A request that would wait for one that waits,
 * directly or not, for itself goes on instead: the other one is suspended in a well-defined place, and the
 * alternative is a deadlock.
 *
 * @internal
 */
export class RequestTracker {
  readonly #active = new Set<TrackedRequest>()
  #sequence = 0

  begin(kind: RequestKind, offset: number, bytes: number, within: TrackedRequest | null = null): TrackedRequest {
    const request = new TrackedRequest(kind, offset, offset + bytes, this.#sequence++, within)
    this.#active.add(request)
    return request
  }

  end(request: TrackedRequest): void {
    this.#active.delete(request)
    request.finish()
  }

  get size(): number {
    return this.#active.size
  }

  /** Widens to whole blocks and makes overlapping requests wait; then waits for those already there. */
  async serialise(request: TrackedRequest, align: number): Promise<void> {
    request.serialising = true
    request.start = Math.floor(request.start / align) * align
    request.end = Math.ceil(request.end / align) * align
    await this.wait(request)
  }

  /** Waits until nothing that must be waited for overlaps. */
  async wait(request: TrackedRequest): Promise<void> {
    for (;;) {
      const other = this.#conflict(request)
      if (other === null) break
      request.waitingFor = other
      await other.finished
      request.waitingFor = null
    }
    request.started = true
  }

  #conflict(request: TrackedRequest): TrackedRequest | null {
    for (const other of this.#active) {
      if (other === request) continue
      if (!other.serialising && !request.serialising) continue
      if (other.start >= request.end || request.start >= other.end) continue
      if (!other.started && other.sequence > request.sequence) continue
      if (dependsOn(other, request) || isWithin(request, other)) continue
      return other
    }
    return null
  }
}

/** `other` waits for `request`, directly or through others. */
function dependsOn(other: TrackedRequest, request: TrackedRequest): boolean {
  for (let r = other.waitingFor; r !== null; r = r.waitingFor) {
    if (r === request || isWithin(r, request)) return true
  }
  return false
}

function isWithin(request: TrackedRequest, outer: TrackedRequest): boolean {
  for (let r = request.within; r !== null; r = r.within) if (r === outer) return true
  return false
}
