import type { OpenMode } from '@blockloom/block-driver'
import { SparseBytes } from '../child/sparse-bytes.ts'
import type { ProtocolFixture } from '../fixture.ts'
import { ByteModel } from '../model/byte-model.ts'
import { Bench, type Image } from './bench.ts'
import { filled } from './format-bench.ts'
import { Session } from './session.ts'

/** Something on the real host, or in memory. @internal */
export class HostImage implements Image {
  readonly options: Readonly<Record<string, unknown>>
  readonly #content: SparseBytes
  readonly #bench: ProtocolBench

  constructor(bench: ProtocolBench, options: Readonly<Record<string, unknown>>, content: SparseBytes) {
    this.#bench = bench
    this.options = options
    this.#content = content
  }

  model(): ByteModel {
    return new ByteModel(this.#content.clone(), this.#bench.fixture.keeps === 'nothing')
  }

  session(mode: Partial<OpenMode> = {}): Session {
    return this.#bench.sessionOf(this.options, mode)
  }

  discarded(_offset: number, bytes: number): Uint8Array[] {
    return [new Uint8Array(bytes)]
  }
}

/** Benches of protocols. @internal */
export class ProtocolBench extends Bench<ProtocolFixture> {
  override get persistent(): boolean {
    return this.fixture.keeps === 'reopen'
  }

  override async create(size?: number): Promise<HostImage> {
    return this.#make(new Uint8Array(size ?? (await this.size())))
  }

  override async filled(size?: number): Promise<{ image: HostImage; model: ByteModel }> {
    const bytes = size ?? (await this.size())
    const content = this.fixture.keeps === 'reopen' ? this.random.bytes(bytes) : new Uint8Array(bytes)
    content.fill(0, 65536, 98304)
    const image = await this.#make(content)
    return { image, model: image.model() }
  }

  sessionOf(options: Readonly<Record<string, unknown>>, mode: Partial<OpenMode> = {}): Session {
    return this.watchSession(new Session({
      driver: this.fixture.driver,
      options: { ...this.fixture.options, ...options },
      mode: this.mode(mode),
      files: new Map(),
      backing: null,
      traits: {},
      random: this.random,
      secrets: this.fixture.secrets ?? {},
      watch: this.watch,
    }))
  }

  protected override wishedSize(): number | undefined {
    return this.fixture.imageSize
  }

  async #make(content: Uint8Array): Promise<HostImage> {
    return new HostImage(this, await this.fixture.make(content), filled(content))
  }
}
