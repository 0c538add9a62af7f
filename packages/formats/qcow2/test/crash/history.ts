/** A change of guest bytes that may be on the disk or not, also in parts. */
export interface OpenChange {
  readonly offset: number
  readonly data: Uint8Array
}

/** What may be found in an image: each byte is that of `bytes`, or what an open change would put there. */
export interface View {
  readonly bytes: Uint8Array
  readonly open: readonly OpenChange[]
  /** By name, byte for byte. */
  readonly snapshots: ReadonlyMap<string, Uint8Array>
  /** What else a scenario looks at: each is found as it is here, or as one of these. */
  readonly facts: Facts
}

export type Facts = Readonly<Record<string, string | readonly string[]>>

/** Something that changes an image as a whole. */
export interface Act<I = unknown> {
  readonly what: string
  readonly run: (image: I) => Promise<unknown>
  /** What is there when it is done; default: no difference. */
  readonly after?: (before: View) => View
  /** It can take effect before what the guest did earlier is on the disk. Otherwise that is there: nothing is open then. */
  readonly isFast?: boolean
  /** What may be there too, if it takes several steps. */
  readonly between?: (before: View) => readonly View[]
}

interface Change extends OpenChange {
  readonly issued: number
  acknowledged: number
}

interface ActDone {
  readonly act: Act<never>
  readonly issued: number
  acknowledged: number
}

/** What happened to an image, and when it was asked for and acknowledged, in ticks; acts happen one by one, alone. */
export class History {
  readonly #initial: View
  readonly #entries: (Change | ActDone)[] = []
  readonly #flushes: { readonly started: number; readonly done: number }[] = []

  constructor(initial: View) {
    this.#initial = initial
  }

  get acts(): readonly ActDone[] {
    return this.#entries.filter((entry) => 'act' in entry)
  }

  get flushes(): readonly { readonly started: number; readonly done: number }[] {
    return this.#flushes
  }

  /** A change is asked for; the caller says when it is acknowledged. */
  changing(offset: number, data: Uint8Array, issued: number): { acknowledged: number } {
    const change: Change = { offset, data, issued, acknowledged: Infinity }
    this.#entries.push(change)
    return change
  }

  acting(act: Act<never>, issued: number): { acknowledged: number } {
    const done: ActDone = { act, issued, acknowledged: Infinity }
    this.#entries.push(done)
    return done
  }

  flushed(started: number, done: number): void {
    this.#flushes.push({ started, done })
  }

  /** What the image holds now, when nothing is under way. */
  now(): View {
    return closed(this.#fold(Infinity, Infinity, Infinity))
  }

  /** All that may be found if the power goes at tick `cut`. */
  possible(cut: number): View[] {
    let stable = 0
    for (const { started, done } of this.#flushes) if (done <= cut) stable = Math.max(stable, started)
    const acts = this.acts
    const least = acts.filter(({ acknowledged }) => acknowledged <= stable).length
    const most = acts.filter(({ issued }) => issued <= cut).length
    const views: View[] = []
    for (let included = least; included <= most; included++) {
      const view = this.#fold(stable, cut, included)
      views.push(view)
      if (included < most) views.push(...(acts[included]!.act.between?.(view) ?? []))
    }
    return views
  }

  /** Changes that were acknowledged by tick `stable` are there, others up to `cut` may be, and `included` acts took effect. */
  #fold(stable: number, cut: number, included: number): View {
    let view: View = { ...this.#initial, bytes: this.#initial.bytes.slice() }
    let acts = 0
    for (const entry of this.#entries) {
      if (entry.issued > cut) break
      if ('act' in entry) {
        if (acts++ < included) view = actedOn(view, entry.act)
      } else if (entry.acknowledged <= stable) {
        view.bytes.set(entry.data.subarray(0, Math.max(0, view.bytes.length - entry.offset)), entry.offset)
      } else {
        view = { ...view, open: [...view.open, entry] }
      }
    }
    return view
  }
}

function actedOn(view: View, { after, isFast }: Act<never>): View {
  const before = isFast === true ? view : closed(view)
  if (after === undefined) return before
  const next = after(before)
  return next.bytes === view.bytes ? next : { ...next, bytes: next.bytes.slice() }
}

/** The view with its open changes made. */
export function closed(view: View): View {
  if (view.open.length === 0) return view
  const bytes = view.bytes.slice()
  for (const { offset, data } of view.open) if (offset < bytes.length) bytes.set(data.subarray(0, bytes.length - offset), offset)
  return { ...view, bytes, open: [] }
}

const STEP = 4096

/** What is found and not possible, in words; null if all is well. */
export function contradiction(found: Omit<View, 'open'>, view: View): string | null {
  const [names, taken] = [[...found.snapshots.keys()].join(), [...view.snapshots.keys()].join()]
  if (names !== taken) return `the snapshots are ${names}, not ${taken}`
  for (const [name, expected] of Object.entries(view.facts)) {
    const value = found.facts[name] as string
    if (value !== expected && !(Array.isArray(expected) && expected.includes(value))) return `${name} is ${value}, not ${String(expected)}`
  }
  const here = differs(found.bytes, view.bytes, view.open)
  if (here !== null) return here
  for (const [name, bytes] of found.snapshots) {
    const there = differs(bytes, view.snapshots.get(name)!, [])
    if (there !== null) return `snapshot ${name}: ${there}`
  }
  return null
}

function differs(found: Uint8Array, bytes: Uint8Array, open: readonly OpenChange[]): string | null {
  if (found.length !== bytes.length) return `${found.length} bytes, not ${bytes.length}`
  for (let start = 0; start < found.length; start += STEP) {
    const end = Math.min(start + STEP, found.length)
    if (Buffer.compare(found.subarray(start, end), bytes.subarray(start, end)) === 0) continue
    const here = open.filter(({ offset, data }) => offset < end && offset + data.length > start)
    for (let at = start; at < end; at++) {
      if (found[at] === bytes[at] || here.some(({ offset, data }) => data[at - offset] === found[at])) continue
      return `byte ${at} is ${found[at]}, flushed was ${bytes[at]}`
    }
  }
  return null
}
