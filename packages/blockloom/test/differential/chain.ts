import { statSync } from 'node:fs'
import { join } from 'node:path'
import { BitmapModel } from './bitmap-model.ts'
import { creationOptions, SECRET_ID, type Layer } from './layer.ts'
import { writeSources } from './content.ts'

/** The files of a backing chain in a folder. */
export class Chain {
  readonly folder: string
  readonly layers: readonly Layer[]
  /** Internal snapshots taken so far, and what a guest saw then. */
  snapshots: { readonly layer: number; readonly name: string; readonly bytes: Uint8Array }[] = []
  /** What the bitmaps of each layer should say. */
  readonly bitmaps: readonly BitmapModel[]

  constructor(folder: string, layers: readonly Layer[]) {
    this.folder = folder
    this.layers = layers
    this.bitmaps = layers.map(() => new BitmapModel())
    writeSources(folder)
  }

  file(layer: number): string {
    return join(this.folder, `layer-${layer}.${this.layers[layer]!.format}`)
  }

  dataFile(layer: number): string {
    return join(this.folder, `layer-${layer}.data`)
  }

  isEncrypted(layer: number): boolean {
    return this.layers[layer]!.encryption !== 'none'
  }

  /** Options that we open a layer with. */
  key(layer: number): { readonly options?: Readonly<Record<string, unknown>> } {
    return this.isEncrypted(layer) ? { options: { 'encrypt.key-secret': SECRET_ID } } : {}
  }

  get top(): number {
    return this.layers.length - 1
  }

  /** What `create` is told about a layer. */
  creation(layer: number): Record<string, string> {
    const below = this.layers[layer - 1]
    return {
      ...creationOptions(this.layers[layer]!, this.dataFile(layer)),
      ...(below === undefined ? {} : { backing_file: this.file(layer - 1), backing_fmt: below.format }),
    }
  }

  /** Changes when somebody writes to a layer. */
  stamp(layer: number): string {
    const { mtimeNs, size } = statSync(this.file(layer), { bigint: true })
    return `${mtimeNs} ${size}`
  }
}
