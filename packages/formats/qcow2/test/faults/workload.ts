import type { Random } from '../harness/random.ts'
import { pickOperations, type Operation } from '../harness/workload.ts'
import type { Configuration } from './configurations.ts'
import { changed, type Change, type State } from './states.ts'

export type Request = Operation | { readonly op: 'read'; readonly offset: number; readonly bytes: number }

/** Requests that are in flight together, perhaps with a flush among them, or one change of the disk as a whole. */
export type Step = { readonly requests: readonly Request[]; readonly flushAt: number | null } | Change

/** What happens to an image: first without faults, then with one. */
export interface Workload {
  readonly before: readonly Step[]
  readonly steps: readonly Step[]
}

const OLD = 'old'

/** The workload of a seed: always the same. */
export function randomWorkload(random: Random, configuration: Configuration): Workload {
  const { size, ballast } = configuration
  const maker = new StepMaker(random, configuration, { bytes: new Uint8Array(size), snapshots: new Map() })
  const before = [maker.batch(8), maker.batch(8), ...(maker.maySnapshot ? [maker.change({ op: 'create', name: OLD, ...(ballast === undefined ? {} : { vmState: ballast }) })] : []), maker.batch(4)]
  const steps: Step[] = []
  for (let count = 1 + random.below(3); count > 0; count--) {
    steps.push(maker.batch(4 + random.below(13)))
    if (random.chance(0.6)) steps.push(maker.anyChange())
  }
  return { before, steps }
}

class StepMaker {
  readonly maySnapshot: boolean
  readonly #random: Random
  readonly #configuration: Configuration
  #state: State
  #value = 1

  constructor(random: Random, configuration: Configuration, state: State) {
    this.#random = random
    this.#configuration = configuration
    this.#state = state
    this.maySnapshot = configuration.snapshots === true && !configuration.options.includes('refcount_bits=1')
  }

  batch(count: number): Step {
    const { clusterSize, backing, dataFile, options, plain } = this.#configuration
    const random = this.#random
    const isOld = options.includes('compat=0.10')
    const zero = options.includes('extended_l2') ? clusterSize / 32 : clusterSize
    // Version 2 cannot discard what would uncover the backing file.
    const limits = { zero, discard: clusterSize, cluster: clusterSize, compress: dataFile !== true && plain !== true, discards: !(isOld && backing === true) }
    const operations = pickOperations(random, this.#state.bytes.length, limits, count, (this.#value += 100))
    const requests = operations.map((operation): Request => (random.chance(0.15) ? { op: 'read', offset: operation.offset, bytes: operation.bytes } : operation))
    return { requests, flushAt: random.chance(0.5) ? random.below(requests.length + 1) : null }
  }

  change(change: Change): Change {
    this.#state = changed(this.#state, change)
    return change
  }

  anyChange(): Change {
    const random = this.#random
    const names = [...this.#state.snapshots.keys()].filter((name) => name !== OLD || this.#configuration.ballast === undefined)
    if (!this.maySnapshot || random.chance(0.35)) return this.#resize(names.length > 0)
    const kind = random.below(names.length === 0 ? 1 : 4)
    if (kind < 2 && names.length < 3) return this.change({ op: 'create', name: `s${(this.#value += 1)}`, ...(random.chance(0.3) ? { vmState: 3 * this.#configuration.clusterSize } : {}) })
    return this.change({ op: kind === 2 ? 'revert' : 'remove', name: random.pick(names) })
  }

  #resize(hasSnapshots: boolean): Change {
    const random = this.#random
    const { options, size } = this.#configuration
    const now = this.#state.bytes.length
    // Version 2 has no sizes of snapshots.
    if (hasSnapshots && options.includes('compat=0.10')) return this.change({ op: 'remove', name: [...this.#state.snapshots.keys()][0]! })
    const by = 512 * (1 + random.below(size / 1024))
    const grows = now - by < 4096 || random.chance(0.6)
    return this.change({ op: 'resize', size: grows ? now + by : now - by, preallocation: grows ? random.pick(['off', 'off', 'metadata', 'falloc', 'full']) : 'off' })
  }
}
