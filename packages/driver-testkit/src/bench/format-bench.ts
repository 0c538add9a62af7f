import { parseOptions, type CreateContext, type OpenMode } from '@blockloom/block-driver'
import { DiskFile, type CrashStyle } from '../child/disk-file.ts'
import { SparseBytes } from '../child/sparse-bytes.ts'
import { check, failure } from '../failure.ts'
import type { FormatFixture } from '../fixture.ts'
import { ByteModel } from '../model/byte-model.ts'
import { GARBAGE } from '../child/recording-child.ts'
import type { Random } from '../model/random.ts'
import { Bench, type Image } from './bench.ts'
import { Session } from './session.ts'

/** The files of one image, as they lie on the simulated host. @internal */
export class FormatImage implements Image {
  readonly files: Map<string, DiskFile>
  readonly backing: DiskFile | null
  readonly #content: SparseBytes
  readonly #bench: FormatBench

  constructor(bench: FormatBench, files: Map<string, DiskFile>, content: SparseBytes, backing: DiskFile | null) {
    this.#bench = bench
    this.files = files
    this.#content = content
    this.backing = backing
  }

  model(): ByteModel {
    return new ByteModel(this.#content.clone())
  }

  session(mode: Partial<OpenMode> = {}): Session {
    return this.#bench.watchSession(new Session({
      driver: this.#bench.fixture.driver,
      options: this.#bench.fixture.options ?? {},
      mode: this.#bench.mode(mode),
      files: this.files,
      backing: this.backing,
      traits: this.#bench.fixture.child ?? {},
      random: this.#bench.random,
      secrets: this.#bench.fixture.secrets ?? {},
      watch: this.#bench.watch,
    }))
  }

  discarded(offset: number, bytes: number): Uint8Array[] {
    // The kit's child answers a discard with garbage, as it may; a format such as raw passes it on.
    const choices = [new Uint8Array(bytes), new Uint8Array(bytes).fill(GARBAGE)]
    return this.backing ? [...choices, this.backing.visible.slice(offset, bytes)] : choices
  }

  /** A copy after a clean shutdown of the host. */
  clone(): FormatImage {
    return this.#map((file) => file.clone())
  }

  /** A copy after power loss now. */
  crash(style: CrashStyle, random: Random): FormatImage {
    return this.#map((file) => file.crash(style, random))
  }

  /** Changes whenever a byte of a file does. */
  hash(): string {
    return [...this.files].map(([name, file]) => `${name}:${file.visible.hash()}`).join(' ')
  }

  #map(make: (file: DiskFile) => DiskFile): FormatImage {
    const files = new Map([...this.files].map(([name, file]) => [name, make(file)]))
    return new FormatImage(this.#bench, files, this.#content, this.backing)
  }
}

/** Benches of formats. @internal */
export class FormatBench extends Bench<FormatFixture> {
  override async create(size?: number, backing: SparseBytes | null = null): Promise<FormatImage> {
    if (backing === null && (this.fixture.sample || !this.has('creation'))) return this.#sample()
    return this.createNew(size, backing)
  }

  /** Makes an image by the driver's own creation, also if the fixture has a sample. */
  async createNew(size?: number, backing: SparseBytes | null = null): Promise<FormatImage> {
    const { fixture } = this
    const wished = size ?? (await this.size())
    const { files, session } = this.#creation()
    const options = this.createOptions(wished, backing !== null)
    await this.runCreate(session, files, options)
    const actual = fixture.actualSize?.(wished) ?? wished
    const content = backing?.clone() ?? new SparseBytes()
    content.resize(actual)
    return new FormatImage(this, new Map([...files].map(([name, file]) => [name, file.clone()])), content, backing && new DiskFile(backing))
  }

  override async filled(size?: number): Promise<{ image: FormatImage; model: ByteModel }> {
    const image = await this.create(size)
    const model = image.model()
    if (!this.has('writer')) return { image, model }
    const cluster = await this.cluster()
    const opened = await this.open(image)
    const { requestAlignment } = opened.limits
    // One whole cluster, half of one, none, and so on; of a large image the last part stays empty, with the tables that map it.
    const end = model.size > 64 * cluster ? Math.floor(model.size / 2) : model.size
    for (let offset = 0; offset < end; offset += 3 * cluster) {
      const bytes = Math.min(cluster + Math.floor(cluster / 2), model.size - offset)
      const data = this.random.bytes(bytes - (bytes % requestAlignment))
      model.write(offset, data)
      await opened.write(offset, data)
    }
    await opened.close()
    return { image, model }
  }

  /** Creation options, unparsed. */
  createOptions(size: number, hasBacking: boolean): Readonly<Record<string, unknown>> {
    const backing = hasBacking ? { filename: 'base.img', format: 'raw' } : null
    return this.fixture.createOptions?.({ size, backing })
      ?? { size, ...(backing && { backing_file: backing.filename, backing_fmt: backing.format }) }
  }

  /** A session in which `runCreateIn` creates an image that is then thrown away. */
  creationSession(): Session {
    return this.#creation().session
  }

  async runCreateIn(session: Session): Promise<void> {
    await this.runCreate(session, new Map([['file', new DiskFile()]]), this.createOptions(await this.size(), false))
  }

  async runCreate(session: Session, files: Map<string, DiskFile>, options: Readonly<Record<string, unknown>>): Promise<void> {
    const creation = this.fixture.driver.creation
    check(creation !== undefined, 'the driver has no creation')
    const context: CreateContext = {
      options: parseOptions(creation.options, options),
      clock: session.clock,
      signal: undefined,
      file: session.attach('file', files.get('file')!, true),
      createFile: async (name, _filename, size) => {
        const file = files.get(name) ?? new DiskFile(new SparseBytes(size))
        files.set(name, file)
        return session.attach(name, file, true)
      },
      secret: async (id) => session.secret(id),
      warn: (message) => void session.warnings.push(message),
    }
    try {
      await this.watch(creation.create(context as CreateContext<never>), 'create()')
    } finally {
      await session.shut('create')
    }
  }

  protected override wishedSize(): number | undefined {
    return this.fixture.imageSize
  }

  #creation(): { files: Map<string, DiskFile>; session: Session } {
    const files = new Map([['file', new DiskFile()]])
    const session = new Session({
      driver: this.fixture.driver, options: {}, mode: this.mode({ readOnly: false }), files, backing: null,
      traits: this.fixture.child ?? {}, random: this.random, secrets: this.fixture.secrets ?? {}, watch: this.watch,
    })
    return { files, session: this.watchSession(session) }
  }

  async #sample(): Promise<FormatImage> {
    const sample = await this.fixture.sample?.()
    if (!sample) throw failure("the driver has no 'creation': the fixture must bring a 'sample'")
    const files = new Map(Object.entries(sample.files).map(([name, bytes]) => [name, new DiskFile(filled(bytes))]))
    return new FormatImage(this, files, filled(sample.content), null)
  }
}

/** @internal */
export function filled(bytes: Uint8Array): SparseBytes {
  const out = new SparseBytes()
  out.write(0, bytes)
  out.size = bytes.length
  return out
}
