import { describe, expect, it } from 'vitest'
import {
  ByteRangeLock,
  CoMutex,
  CoQueue,
  CoRwLock,
  CoSemaphore,
  createRandom,
  createVirtualContext,
  type SeededRandom,
  type VirtualContext,
} from '../src/index.ts'
import { seeds } from './interleaving.ts'

const TASKS = 24
const ROUNDS = 25
const SPACE = 256

/** Fails as soon as two tasks are where only one may be. */
class Occupancy {
  readonly #inside = new Map<string, { readers: number; writers: number }>()
  readonly #seed: number

  constructor(seed: number) {
    this.#seed = seed
  }

  enter(place: string, mode: 'read' | 'write'): () => void {
    const state = this.#inside.get(place) ?? { readers: 0, writers: 0 }
    this.#inside.set(place, state)
    const allowed = mode === 'read' ? state.writers === 0 : state.writers + state.readers === 0
    expect(allowed, `seed ${this.#seed}: ${mode} in ${place} while ${JSON.stringify(state)}`).toBe(true)
    const counter = mode === 'read' ? 'readers' : 'writers'
    state[counter]++
    return () => void state[counter]--
  }
}

interface World {
  readonly context: VirtualContext
  readonly random: SeededRandom
  readonly occupancy: Occupancy
  readonly mutex: CoMutex
  readonly rwlock: CoRwLock
  readonly semaphore: CoSemaphore
  readonly ranges: ByteRangeLock
  readonly queue: CoQueue
  inFlight: number
  items: number
}

function createWorld(seed: number): World {
  const context = createVirtualContext({ seed, trace: true, stepLimit: 200_000 })
  return {
    context,
    random: createRandom(seed).fork(),
    occupancy: new Occupancy(seed),
    mutex: new CoMutex({ name: 'mutex', context }),
    rwlock: new CoRwLock({ name: 'rwlock', context }),
    semaphore: new CoSemaphore(8, { name: 'semaphore', context }),
    ranges: new ByteRangeLock({ name: 'ranges', context }),
    queue: new CoQueue({ name: 'items', context }),
    inFlight: 0,
    items: 0,
  }
}

/** Sometimes a signal that aborts after a while: before, after, or at the very moment of a grant. */
function maybeSignal({ context, random }: World): AbortSignal | undefined {
  if (random.chance(0.6)) return undefined
  const controller = new AbortController()
  context.timer(() => controller.abort(new Error('aborted'))).armIn(random.below(6))
  return controller.signal
}

function pause({ context, random }: World): Promise<void> {
  return random.chance(0.5) ? context.yield() : context.sleep(random.below(4))
}

const actions: ((world: World) => Promise<void>)[] = [
  async (world) => {
    using guard = await world.mutex.acquire(maybeSignal(world))
    const leave = world.occupancy.enter('mutex', 'write')
    await pause(world)
    leave()
    if (world.random.chance(0.3)) {
      guard.release()
      await pause(world)
      await guard.reacquire(maybeSignal(world))
      const leaveAgain = world.occupancy.enter('mutex', 'write')
      await pause(world)
      leaveAgain()
    }
  },
  async (world) => {
    using guard = await world.rwlock.acquireRead(maybeSignal(world))
    const leave = world.occupancy.enter('rwlock', 'read')
    await pause(world)
    leave()
    if (world.random.chance(0.4)) {
      await guard.upgrade(maybeSignal(world))
      const leaveWriting = world.occupancy.enter('rwlock', 'write')
      await pause(world)
      leaveWriting()
    }
  },
  async (world) => {
    using guard = await world.rwlock.acquireWrite(maybeSignal(world))
    const leave = world.occupancy.enter('rwlock', 'write')
    await pause(world)
    leave()
    guard.downgrade()
    const leaveReading = world.occupancy.enter('rwlock', 'read')
    await pause(world)
    leaveReading()
  },
  async (world) => {
    const weight = world.random.between(1, 8)
    using guard = await world.semaphore.acquire(weight, maybeSignal(world))
    world.inFlight += guard.weight
    expect(world.inFlight).toBeLessThanOrEqual(8)
    await pause(world)
    world.inFlight -= guard.weight
  },
  async (world) => {
    const offset = world.random.below(SPACE)
    const length = world.random.between(1, Math.min(SPACE - offset, world.random.pick([4, 16, SPACE])))
    const mode = world.random.chance(0.5) ? 'shared' : 'exclusive'
    using guard = await world.ranges.acquire(offset, length, mode, maybeSignal(world))
    const leaves: (() => void)[] = []
    for (let at = guard.offset; at < guard.offset + guard.length; at++) {
      leaves.push(world.occupancy.enter(`byte ${at}`, mode === 'shared' ? 'read' : 'write'))
    }
    await pause(world)
    for (const leave of leaves) leave()
  },
  async (world) => {
    using guard = await world.mutex.acquire()
    world.items++
    world.queue.wakeOne()
    expect(guard.held).toBe(true)
  },
]

async function consume(world: World): Promise<number> {
  let consumed = 0
  while (consumed < ROUNDS) {
    using guard = await world.mutex.acquire()
    while (world.items === 0) await world.queue.waitReleasing(guard)
    world.items--
    consumed++
  }
  return consumed
}

async function simulate(seed: number): Promise<World> {
  const world = createWorld(seed)
  await world.context.run(async () => {
    const worker = async (): Promise<void> => {
      for (let round = 0; round < ROUNDS; round++) {
        try {
          await world.random.pick(actions)(world)
        } catch (error) {
          if ((error as Error).message !== 'aborted') throw error
        }
      }
    }
    const produce = async (): Promise<void> => {
      for (let round = 0; round < ROUNDS; round++) await actions.at(-1)!(world)
    }
    const tasks = Array.from({ length: TASKS }, (_, i) => world.context.spawn(`worker ${i}`, worker))
    await Promise.all([...tasks, world.context.spawn('producer', produce), world.context.spawn('consumer', () => consume(world))])
  })
  return world
}

describe('many tasks contending for all locks, with aborts', () => {
  it.each(seeds(25))('nobody is where another is, nobody is forgotten, nothing is left (seed %i)', async (seed) => {
    const world = await simulate(seed)
    expect(world.inFlight).toBe(0)
    // destroy() refuses what is still held or waited for.
    for (const lock of [world.mutex, world.rwlock, world.semaphore, world.ranges, world.queue]) lock.destroy()
    expect(world.context.tasks).toEqual([])
  })

  it('the same seed gives the same run, another seed another', async () => {
    const [first, again, other] = [await simulate(77), await simulate(77), await simulate(78)]
    expect(first.context.trace.length).toBe(first.context.steps)
    expect(first.context.steps).toBeGreaterThan(1000)
    expect(again.context.trace).toEqual(first.context.trace)
    expect(again.context.now()).toBe(first.context.now())
    expect(other.context.trace).not.toEqual(first.context.trace)
  })

  it('the same program in another order: only the context has another seed', async () => {
    const trace = async (seed: number): Promise<string> => {
      const context = createVirtualContext({ seed, trace: true })
      const mutex = new CoMutex({ name: 'm', context })
      const work = (): Promise<void> => mutex.run(() => context.sleep(1))
      await context.run(() => Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => context.spawn(name, work))))
      return context.trace.map((step) => `${step.at} ${step.owner}: ${step.what}`).join('\n')
    }
    expect(await trace(1)).toBe(await trace(1))
    expect(await trace(1)).not.toBe(await trace(2))
    expect((await trace(1)).split('\n')).toHaveLength(15) // main, 5 starts, 4 wakes, 5 sleeps
    expect(await trace(1)).toMatch(/^0 main: main\n/)
    expect(await trace(1)).toMatch(/^\d task ".": wake from mutex "m"$/m)
  })
})

describe('nobody starves', () => {
  /** Keeps `greedy` going from many tasks without a pause until `patient` was served, and returns the waiting time. */
  async function waitingTime(
    seed: number,
    greedy: (context: VirtualContext) => Promise<void>,
    patient: (context: VirtualContext) => Promise<void>,
  ): Promise<number> {
    const context = createVirtualContext({ seed, stepLimit: 100_000 })
    return context.run(async () => {
      let served = false
      const crowd = Array.from({ length: 10 }, (_, i) =>
        context.spawn(`greedy ${i}`, async () => {
          await context.sleep(i / 10) // out of step, so that there is always one inside
          while (!served) await greedy(context)
        }),
      )
      await context.sleep(10)
      const asked = context.now()
      await patient(context)
      served = true
      const time = context.now() - asked
      await Promise.all(crowd)
      return time
    })
  }

  it.each(seeds(10))('a writer among readers that overlap without end (seed %i)', async (seed) => {
    const lock = new CoRwLock()
    const read = (context: VirtualContext): Promise<void> => lock.runRead(() => context.sleep(1))
    expect(await waitingTime(seed, read, () => lock.runWrite(() => undefined))).toBeLessThanOrEqual(1)
  })

  it.each(seeds(10))('a large request among small ones (seed %i)', async (seed) => {
    const semaphore = new CoSemaphore(10)
    const small = (context: VirtualContext): Promise<void> => semaphore.run(() => context.sleep(1))
    expect(await waitingTime(seed, small, () => semaphore.run(() => undefined, 10))).toBeLessThanOrEqual(1)
  })

  it.each(seeds(10))('a wide range among narrow ones (seed %i)', async (seed) => {
    const lock = new ByteRangeLock()
    const random = createRandom(seed)
    const narrow = (context: VirtualContext): Promise<void> =>
      lock.run(random.below(100), 1, 'exclusive', () => context.sleep(1))
    const wide = (): Promise<void> => lock.run(0, 100, 'exclusive', () => undefined)
    expect(await waitingTime(seed, narrow, wide)).toBeLessThanOrEqual(10) // narrow ones may stand in line before it
  })
})
