import { RequestFlag, type Attempt, type ChildHandle, type Extent, type FlushScope, type Instance, type Limits, type ResizeOptions } from '@blockloom/block-driver'
import { check, failure } from '../failure.ts'
import { firstDifference } from '../model/difference.ts'
import type { Watchdog } from '../watchdog.ts'
import type { Session } from './session.ts'
import { checkExtent } from './extent-check.ts'

/** These always reach `zero`, whatever the driver honours. */
const FOR_ZERO = RequestFlag.MAY_UNMAP | RequestFlag.NO_FALLBACK
const GUARD = 64
const GUARD_BYTE = 0xc3

/** What an opened image needs of the bench it lives in. @internal */
export interface Surroundings {
  readonly watch: Watchdog
  /** Called after every request and after close. */
  verify(): void
  /** After the driver's close: nothing may be pending below. */
  closed(): Promise<void>
  readonly session: Session
}

/**
 * A driver's instance, called as the core calls it: in range, aligned, split to the limits, with guarded buffers that
 * are scribbled over as soon as a request has settled.
 *
 * @internal
 */
export class OpenedImage {
  readonly instance: Instance
  readonly #around: Surroundings
  #isOpen = true

  constructor(instance: Instance, around: Surroundings) {
    this.instance = instance
    this.#around = around
  }

  /** What it was opened with. */
  get session(): Session {
    return this.#around.session
  }

  get limits(): Limits {
    return this.instance.limits
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** For images whose length does not change by itself. */
  get size(): number {
    const size = this.instance.size()
    check(typeof size === 'number', 'size() is a promise, but a number is due on an image whose length does not change by itself')
    return size
  }

  async read(offset: number, bytes: number): Promise<Uint8Array> {
    const out = new Uint8Array(bytes)
    for (const [start, length] of this.#split(offset, bytes, this.limits.maxTransfer, this.limits.requestAlignment)) {
      out.set(await this.#readOne(start, length), start - offset)
    }
    return out
  }

  async write(offset: number, from: Uint8Array, flags = 0): Promise<void> {
    const writer = this.#writer()
    const allowed = flags & (writer.honours ?? 0)
    for (const [start, length] of this.#split(offset, from.length, this.limits.maxTransfer, this.limits.requestAlignment)) {
      await this.#lend(from.subarray(start - offset, start - offset + length), `write(${start}, ${length})`, (buffer) =>
        writer.write(start, buffer, allowed))
    }
  }

  /** Calls the zero facet; the range must be aligned to `zeroAlignment`. */
  async zero(offset: number, bytes: number, flags = 0): Promise<Attempt> {
    check(this.instance.zero !== undefined, 'the zero facet is missing')
    const allowed = flags & ((this.#writer().honours ?? 0) | FOR_ZERO)
    let answer: Attempt = 'done'
    for (const [start, length] of this.#split(offset, bytes, this.limits.maxZero, this.limits.zeroAlignment)) {
      answer = this.#attempt(await this.#run(`zero(${start}, ${length}, ${allowed})`, () => this.instance.zero!(start, length, allowed)))
      if (answer === 'unsupported') break
    }
    return answer
  }

  /** Calls the discard facet; the range must be aligned to `discardAlignment`. */
  async discard(offset: number, bytes: number): Promise<Attempt> {
    check(this.instance.discard !== undefined, 'the discard facet is missing')
    let answer: Attempt = 'done'
    for (const [start, length] of this.#split(offset, bytes, this.limits.maxDiscard, this.limits.discardAlignment)) {
      answer = this.#attempt(await this.#run(`discard(${start}, ${length})`, () => this.instance.discard!(start, length)))
      if (answer === 'unsupported') break
    }
    return answer
  }

  flush(scope: FlushScope = 'stable'): Promise<void> {
    const writer = this.#writer()
    return this.#run(`flush('${scope}')`, () => writer.flush(scope))
  }

  /** A write that is on stable storage when it returns: by FUA if the driver honours it, else by a flush, as the core does. */
  async writeThrough(offset: number, from: Uint8Array): Promise<void> {
    await this.write(offset, from, RequestFlag.FUA)
    if (!((this.#writer().honours ?? 0) & RequestFlag.FUA)) await this.flush('stable')
  }

  /** One extent, checked against the rules that need no knowledge of the bytes. */
  async extent(offset: number, bytes: number): Promise<Extent> {
    check(this.instance.extents !== undefined, 'the extents facet is missing')
    const what = `extents(${offset}, ${bytes})`
    const extent = await this.#run(what, async () => this.instance.extents!(offset, bytes))
    checkExtent(extent, bytes, what)
    return extent
  }

  async resize(size: number, options: Partial<ResizeOptions> = {}): Promise<void> {
    check(this.instance.resize !== undefined, 'the resize facet is missing')
    const all = { preallocation: options.preallocation ?? 'off', zeroFill: options.zeroFill ?? true }
    await this.#run(`resize(${size})`, () => this.instance.resize!.resize(size, all))
  }

  /** What an absent range shows: the backing child's bytes, zeroes past its end or without one. */
  async below(offset: number, bytes: number): Promise<Uint8Array> {
    const out = new Uint8Array(bytes)
    await this.session.slots.get('backing')?.current?.read(offset, out)
    return out
  }

  /** True for a child that the driver was given. */
  owns(child: ChildHandle): boolean {
    return this.session.children.some((given) => given === child)
  }

  /** Any other call of the instance, watched. */
  call<T>(what: string, work: () => Promise<T>): Promise<T> {
    return this.#run(what, work)
  }

  /** Flushes as the core does, then closes. */
  async close(): Promise<void> {
    if (!this.#isOpen) return
    if (this.instance.writer) await this.flush('stable')
    await this.closeWithoutFlush()
  }

  /** Power is about to fail, or flushing has failed: only close. */
  async closeWithoutFlush(): Promise<void> {
    if (!this.#isOpen) return
    this.#isOpen = false
    await this.#run('close()', () => this.instance.close())
    await this.#around.closed()
    this.#around.verify()
  }

  /** The process is gone: the driver gets no say. */
  abandon(): void {
    this.#isOpen = false
  }

  async #readOne(offset: number, bytes: number): Promise<Uint8Array> {
    const { whole, inner } = guarded(bytes)
    // Not zeroes, so that what the driver leaves out is seen.
    inner.fill(0xa7)
    await this.#run(`read(${offset}, ${bytes})`, () => this.instance.read(offset, inner, 0))
    checkGuard(whole, `read(${offset}, ${bytes})`)
    const out = inner.slice()
    inner.fill(0x3e)
    return out
  }

  async #lend(bytes: Uint8Array, what: string, call: (buffer: Uint8Array) => Promise<void>): Promise<void> {
    const { whole, inner } = guarded(bytes.length)
    inner.set(bytes)
    await this.#run(what, () => call(inner), () => {
      const kept = firstDifference(inner, bytes) < 0
      checkGuard(whole, what)
      inner.fill(0x3e)
      check(kept, `${what} changed the buffer that it was lent`)
    })
  }

  async #run<T>(what: string, work: () => Promise<T>, settled?: () => void): Promise<T> {
    try {
      const pending = work()
      check(typeof (pending as Partial<Promise<T>> | undefined)?.then === 'function', `${what} returned no promise`)
      return await this.#around.watch(pending, what)
    } finally {
      settled?.()
      this.#around.verify()
    }
  }

  #writer() {
    const writer = this.instance.writer
    if (!writer) throw failure('the writer facet is missing on an image that is open for writing')
    return writer
  }

  #attempt(answer: Attempt): Attempt {
    check(answer === 'done' || answer === 'unsupported', `an optional operation answered ${String(answer)}, expected 'done' or 'unsupported'`)
    return answer
  }

  /** The kit itself must keep to the limits, or it would blame drivers for its own mistakes. */
  *#split(offset: number, bytes: number, most: number, alignment: number): Generator<[number, number]> {
    check(offset % alignment === 0, `the suite made a request at ${offset}, not aligned to ${alignment}`)
    const cap = Number.isFinite(most) ? Math.max(alignment, most - (most % alignment)) : bytes
    for (let at = 0; at < bytes; at += cap) yield [offset + at, Math.min(cap, bytes - at)]
  }
}

function guarded(bytes: number): { whole: Uint8Array; inner: Uint8Array } {
  const whole = new Uint8Array(bytes + 2 * GUARD).fill(GUARD_BYTE)
  return { whole, inner: whole.subarray(GUARD, GUARD + bytes) }
}

function checkGuard(whole: Uint8Array, what: string): void {
  const end = whole.length - GUARD
  const intact = whole.subarray(0, GUARD).every((byte) => byte === GUARD_BYTE) && whole.subarray(end).every((byte) => byte === GUARD_BYTE)
  check(intact, `${what} wrote outside its buffer`)
}
