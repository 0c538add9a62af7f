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
  #count = 0

  constructor(random: SeededRandom, layer: Layer, index: number, hasBacking: boolean) {
    this.#random = random
    this.#layer = layer
    this.#count = 100 * index
    this.#hasBacking = hasBacking
    this.#version = layer.version
    this.theme = this.#pickTheme()
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
    if (part > 0 && this.#layer.refcountBits >= 8 && random.chance(0.1)) acts.push({ kind: 'leak' })
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
      return [{ kind: 'amend', options: this.#version === 2 ? { compat: '0.10', lazy_refcounts: 'off', refcount_bits: '16' } : { compat: '1.1' } }]
    }
    if (this.#version === 2) return []
    return [{ kind: 'amend', options: random.chance(0.5) ? { lazy_refcounts: random.pick(['on', 'off']) } : { refcount_bits: String(random.pick([16, 32, 64])) } }]
  }
}

/** An act in words. */
export function describeAct(act: Act): string {
  return Object.values(act).map((value) => (typeof value === 'object' ? JSON.stringify(value) : String(value))).join(' ')
}
