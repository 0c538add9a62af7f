import type { Limits, OpenMode } from '@blockloom/block-driver'
import type { FacetName } from '../case.ts'
import { failure } from '../failure.ts'
import type { Fixture } from '../fixture.ts'
import type { ByteModel } from '../model/byte-model.ts'
import type { Random } from '../model/random.ts'
import { macrotask, type Watchdog } from '../watchdog.ts'
import type { OpenedImage } from './opened-image.ts'
import type { Session } from './session.ts'

/** Something that the driver under test can open, more than once. @internal */
export interface Image {
  /** What it reads as before anything is written. */
  model(): ByteModel
  session(mode?: Partial<OpenMode>): Session
  /** What discarded bytes may read as, besides what they were. */
  discarded(offset: number, bytes: number): Uint8Array[]
}

/** Stands in for the cluster of drivers that have none. Bytes. */
const PSEUDO_CLUSTER = 16384

/** From this size of an image on, cases repeat less. */
const LARGE = 524288

/** What cases for all kinds of drivers work with. @internal */
export abstract class Bench<F extends Fixture = Fixture> {
  readonly fixture: F
  readonly random: Random
  readonly watch: Watchdog
  readonly #open: OpenedImage[] = []
  readonly #sessions: Session[] = []
  #limits: Limits | undefined

  constructor(fixture: F, random: Random, watch: Watchdog) {
    this.fixture = fixture
    this.random = random
    this.watch = watch
  }

  /** What was written is there after close and open. */
  get persistent(): boolean {
    return true
  }

  /** Makes an empty image, not opened. */
  abstract create(size?: number): Promise<Image>

  /** Makes an image with data in some places, not opened. */
  abstract filled(size?: number): Promise<{ image: Image; model: ByteModel }>

  /** The fixture's wish for the size of images. */
  protected abstract wishedSize(): number | undefined

  has(facet: FacetName): boolean {
    return this.fixture.facets.includes(facet)
  }

  /** Opens for writing, if the driver can, and remembers to close. */
  async open(image: Image, mode: Partial<OpenMode> = {}, session = image.session(this.mode(mode))): Promise<OpenedImage> {
    this.watchSession(session)
    const opened = await session.open()
    this.#open.push(opened)
    return opened
  }

  mode(some: Partial<OpenMode> = {}): OpenMode {
    return { readOnly: !this.has('writer'), noIo: false, noBacking: false, forCheck: false, ...some }
  }

  /** For sessions that a case opens itself. */
  watchSession(session: Session): Session {
    if (!this.#sessions.includes(session)) this.#sessions.push(session)
    return session
  }

  /** Of any image of this configuration. */
  async limits(): Promise<Limits> {
    if (!this.#limits) {
      const opened = await this.open(await this.create(1024 * 1024), { readOnly: true })
      this.#limits = opened.limits
      await opened.close()
    }
    return this.#limits
  }

  /** The cluster size, or a stand-in for drivers that have none. Bytes. */
  async cluster(): Promise<number> {
    const { clusterSize, requestAlignment } = await this.limits()
    return Math.max(clusterSize || PSEUDO_CLUSTER, requestAlignment)
  }

  /** A few clusters and a part of one, aligned. Bytes. */
  async size(): Promise<number> {
    const wished = this.wishedSize()
    if (wished !== undefined) return wished
    const cluster = await this.cluster()
    const { requestAlignment } = await this.limits()
    const count = Math.min(48, Math.max(5, Math.floor(262144 / cluster)))
    const size = count * cluster + Math.floor(cluster / 2)
    return size - (size % Math.max(512, requestAlignment))
  }

  /** A count of repetitions, fewer for large images: a suite takes seconds, not minutes. */
  async effort(count: number): Promise<number> {
    return Math.ceil(count * Math.max(1 / 16, Math.min(1, LARGE / (await this.size()))))
  }

  /** Closes all that is open and looks once more for breaches. */
  async finish(): Promise<void> {
    for (const opened of this.#open) await opened.close()
    await macrotask()
    for (const session of this.#sessions) session.audit.verify()
  }

  /** After a failure: lets go of everything, without waiting. */
  abandon(): void {
    for (const opened of this.#open) {
      if (opened.isOpen) void opened.instance.close().catch(() => {})
    }
    for (const session of this.#sessions) session.clock.stop()
  }
}

/** The error of a failed case, with what is needed to repeat it. @internal */
export function annotate(error: unknown, seed: number): Error {
  if (error instanceof Error && error.name === 'ConformanceFailure') return failure(`${error.message} [seed ${seed}]`, error)
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return failure(`unexpected ${message} [seed ${seed}]`, error)
}
