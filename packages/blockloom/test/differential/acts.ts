import type { SeededRandom } from '@blockloom/oracle'
import type { Layer } from './layer.ts'

/** Something that changes an image beside what a guest sees, or all of it, between two sessions. */
export type Act =
  | { readonly kind: 'take' | 'revert' | 'remove'; readonly name: string }
  | { readonly kind: 'amend'; readonly options: Readonly<Record<string, string>> }
  | { readonly kind: 'bitmap'; readonly action: 'add' | 'remove' | 'clear' | 'enable' | 'disable'; readonly name: string; readonly granularity: number }
  /** Somebody else leaves clusters behind; they are found and freed. */
  | { readonly kind: 'leak' }

/** What a layer may have besides its guest: not all of it goes together. */
type Theme = 'snapshots' | 'bitmaps' | 'plain'

/** Random acts on one layer. */
export class ActMaker {
  readonly theme: Theme
  readonly #random: SeededRandom
  readonly #layer: Layer
  readonly #hasBacking: boolean
  readonly #taken = new Set<string>()
  readonly #bitmaps = new Set<string>()
  #version: 2 | 3
  #lazy: boolean
  #bits: number
  #count = 0

  constructor(random: SeededRandom, layer: Layer, index: number, hasBacking: boolean) {
    this.#random = random
    this.#layer = layer
    this.#count = 100 * index
    this.#hasBacking = hasBacking
    this.#version = layer.version
    this.#lazy = layer.lazyRefcounts
    this.#bits = layer.refcountBits
    this.theme = this.#pickTheme()
  }

  /** Who is killed leaves nothing behind but refcounts that are not up to date. */
  get mayKill(): boolean {
    return this.#lazy && this.theme !== 'bitmaps'
  }

  /** Bitmaps and snapshots that are there now. */
  get has(): { readonly snapshots: boolean; readonly bitmaps: boolean } {
    return { snapshots: this.#taken.size > 0, bitmaps: this.#bitmaps.size > 0 }
  }

  #pickTheme(): Theme {
    const random = this.#random
    const { format, dataFile, refcountBits, version } = this.#layer
    if (format === 'raw') return 'plain'
    // Narrow counts overflow where many compressed clusters share a host cluster, and data files have no snapshots.
    if (dataFile === 'none' && refcountBits >= 16 && random.chance(0.45)) return 'snapshots'
    return version === 3 && dataFile !== 'raw' && random.chance(0.4) ? 'bitmaps' : 'plain'
  }

  /** What happens before session number `part`. */
  before(part: number): Act[] {
    const random = this.#random
    if (this.#layer.format === 'raw') return []
    const acts: Act[] = []
    if (this.theme === 'snapshots' && part > 0) acts.push(this.#snapshot())
    if (this.theme === 'bitmaps') acts.push(this.#bitmap())
    if (random.chance(0.12)) acts.push(...this.#amend())
    if (part > 0 && !this.#lazy && this.#layer.refcountBits >= 8 && random.chance(0.1)) acts.push({ kind: 'leak' })
    return acts
  }

  #snapshot(): Act {
    const random = this.#random
    if (this.#taken.size === 0 || random.chance(0.5)) {
      const name = `s${this.#count++}`
      this.#taken.add(name)
      return { kind: 'take', name }
    }
    const name = random.pick([...this.#taken])
    if (random.chance(0.5)) return { kind: 'revert', name }
    this.#taken.delete(name)
    return { kind: 'remove', name }
  }

  #bitmap(): Act {
    const random = this.#random
    const { clusterSize } = this.#layer
    const granularity = random.pick([512, 4096, Math.max(4096, clusterSize)])
    if (this.#bitmaps.size === 0 || random.chance(0.4)) {
      const name = `b${this.#count++}`
      this.#bitmaps.add(name)
      return { kind: 'bitmap', action: 'add', name, granularity }
    }
    const name = random.pick([...this.#bitmaps])
    const action = random.pick(['remove', 'clear', 'enable', 'disable'] as const)
    if (action === 'remove') this.#bitmaps.delete(name)
    return { kind: 'bitmap', action, name, granularity }
  }

  #amend(): Act[] {
    const random = this.#random
    const { dataFile, extendedL2, compression, encryption } = this.#layer
    // Version 2 discards otherwise where there is a backing file, and has neither of the others.
    const mayBeOld = !this.#hasBacking && dataFile === 'none' && !extendedL2 && compression === 'zlib' && encryption === 'none' && this.theme === 'plain'
    if (mayBeOld && random.chance(0.5)) {
      this.#version = this.#version === 2 ? 3 : 2
      if (this.#version === 3) return [{ kind: 'amend', options: { compat: '1.1' } }]
      const width = this.#bits === 16 ? {} : { refcount_bits: '16' }
      this.#lazy = false
      this.#bits = 16
      return [{ kind: 'amend', options: { compat: '0.10', lazy_refcounts: 'off', ...width } }]
    }
    if (this.#version === 2) return []
    if (random.chance(0.5)) {
      this.#bits = random.pick([16, 32, 64])
      return [{ kind: 'amend', options: { refcount_bits: String(this.#bits) } }]
    }
    this.#lazy = random.chance(0.5)
    return [{ kind: 'amend', options: { lazy_refcounts: this.#lazy ? 'on' : 'off' } }]
  }
}

/** An act in words. */
export function describeAct(act: Act): string {
  return Object.values(act).map((value) => (typeof value === 'object' ? JSON.stringify(value) : String(value))).join(' ')
}
