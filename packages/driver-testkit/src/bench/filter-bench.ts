import type { OpenMode } from '@blockloom/block-driver'
import type { FacetName } from '../case.ts'
import { DiskFile } from '../child/disk-file.ts'
import { GARBAGE } from '../child/recording-child.ts'
import { SparseBytes } from '../child/sparse-bytes.ts'
import type { FilterFixture } from '../fixture.ts'
import { FORWARDED } from '../facet-presence.ts'
import { ByteModel } from '../model/byte-model.ts'
import { Bench, type Image } from './bench.ts'
import { filled } from './format-bench.ts'
import { Session } from './session.ts'

/** A file below a filter. @internal */
export class FilteredImage implements Image {
  readonly file: DiskFile
  readonly #others: ReadonlyMap<string, DiskFile>
  readonly #content: SparseBytes
  readonly #bench: FilterBench

  constructor(bench: FilterBench, content: SparseBytes, others: ReadonlyMap<string, DiskFile>) {
    this.#bench = bench
    this.#content = content.clone()
    this.file = new DiskFile(content)
    this.#others = others
  }

  model(): ByteModel {
    return new ByteModel(this.#content.clone())
  }

  session(mode: Partial<OpenMode> = {}): Session {
    return this.#bench.watchSession(new Session({
      driver: this.#bench.fixture.driver,
      options: this.#bench.fixture.options ?? {},
      mode: this.#bench.mode(mode),
      files: new Map([...this.#others, ['file', this.file]]),
      backing: null,
      traits: this.#bench.fixture.child ?? {},
      random: this.#bench.random,
      secrets: this.#bench.fixture.secrets ?? {},
      watch: this.#bench.watch,
    }))
  }

  discarded(_offset: number, bytes: number): Uint8Array[] {
    // The kit's child answers a discard with garbage, as it may.
    return [new Uint8Array(bytes), new Uint8Array(bytes).fill(GARBAGE)]
  }
}

/** Benches of filters. @internal */
export class FilterBench extends Bench<FilterFixture> {
  override async create(size?: number): Promise<FilteredImage> {
    return new FilteredImage(this, new SparseBytes(size ?? (await this.size())), this.#others())
  }

  override async filled(size?: number): Promise<{ image: FilteredImage; model: ByteModel }> {
    const content = filled(this.random.bytes(size ?? (await this.size())))
    content.fill(16384, 16384, 0)
    const image = new FilteredImage(this, content, this.#others())
    return { image, model: image.model() }
  }

  /** What a filter leaves out comes from the child, which can do everything. */
  override has(facet: FacetName): boolean {
    return FORWARDED.includes(facet) || super.has(facet)
  }

  override mode(some: Partial<OpenMode> = {}): OpenMode {
    return super.mode({ readOnly: false, ...some })
  }

  protected override wishedSize(): number | undefined {
    return undefined
  }

  #others(): Map<string, DiskFile> {
    return new Map(Object.entries(this.fixture.children ?? {}).map(([name, bytes]) => [name, new DiskFile(filled(bytes))]))
  }
}
