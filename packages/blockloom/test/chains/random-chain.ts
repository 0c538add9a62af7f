import { SeededRandom } from '@blockloom/oracle'
import { cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Chain } from '../differential/chain.ts'
import { randomLayer, type Layer } from '../differential/layer.ts'
import { GuestModel } from '../differential/model.ts'
import { OperationMaker, type Session } from '../differential/operations.ts'
import { createByUs, writeByUs } from '../differential/ours.ts'
import { createByReference, writeByReference } from '../differential/reference.ts'
import { mustRun } from '../differential/run-tool.ts'

/** A chain of images in a folder, and what a guest sees of each of its layers. */
export interface BuiltChain {
  readonly chain: Chain
  /** By layer, the deepest first. */
  readonly contents: readonly Uint8Array[]
}

/** Makes a chain of random images with random content; the same seed makes the same one. */
export async function buildChain(folder: string, random: SeededRandom, depth: number, prefix: readonly Layer[] = []): Promise<BuiltChain> {
  const layers: Layer[] = [...prefix]
  while (layers.length < depth) layers.push(randomLayer(random, random.below(13), layers.at(-1) ?? null, layers.length === 0 && depth > 1))
  mkdirSync(folder, { recursive: true })
  const chain = new Chain(folder, layers)
  const model = new GuestModel()
  const contents: Uint8Array[] = []
  const byReference = random.chance(0.25)
  for (const [i, layer] of layers.entries()) {
    await (byReference ? createByReference : createByUs)(chain, i)
    const maker = new OperationMaker(random, layer, i > 0, byReference)
    const snapshots = layer.format === 'qcow2' && layer.dataFile === 'none' && layer.refcountBits >= 16 && random.chance(0.3)
    if (snapshots) maker.keepSize()
    for (let part = 0; part < 2; part++) {
      if (snapshots && part > 0) await mustRun('qemu-img', ['snapshot', '-q', '-c', 'before', chain.file(i)])
      maker.reopened()
      const session: Session = { layer: i, acts: [], killed: false, operations: Array.from({ length: 2 + random.below(8) }, () => maker.next()) }
      await (byReference ? writeByReference : writeByUs)(chain, [session], model)
    }
    contents.push(model.bytes.slice())
  }
  return { chain, contents }
}

/** Keeps the files of a folder as they are, to go back to. */
export class Pristine {
  readonly #folder: string
  readonly #copy: string

  constructor(folder: string) {
    this.#folder = folder
    this.#copy = `${folder}.pristine`
    cpSync(folder, this.#copy, { recursive: true })
  }

  restore(): void {
    for (const name of readdirSync(this.#folder)) rmSync(join(this.#folder, name), { recursive: true })
    cpSync(this.#copy, this.#folder, { recursive: true })
  }
}

/** Ranges that an image stores itself as data, from `qemu-img map --output=json`. */
export function storedRanges(json: string): { readonly from: number; readonly to: number }[] {
  const ranges: { from: number; to: number }[] = []
  for (const { start, length, depth, data } of JSON.parse(json) as { start: number; length: number; depth: number; data: boolean }[]) {
    if (depth > 0 || !data) continue
    const last = ranges.at(-1)
    if (last?.to === start) last.to += length
    else ranges.push({ from: start, to: start + length })
  }
  return ranges
}

/** What is in `inner` and not in `outer`. */
export function beyond(inner: readonly { readonly from: number; readonly to: number }[], outer: readonly { readonly from: number; readonly to: number }[]): string[] {
  return inner.filter(({ from, to }) => !outer.some((range) => range.from <= from && range.to >= to)).map(({ from, to }) => `${from}-${to}`)
}
