import { contentBytes } from './content.ts'
import type { Layer } from './layer.ts'
import type { Change } from './operations.ts'

/** What a guest sees of a backing chain: plain bytes. */
export class GuestModel {
  bytes = new Uint8Array(0)
  #layer: Layer | null = null
  #hasBacking = false

  /** A layer is opened for writing: the one that was before, or a new one on top of it. */
  open(layer: Layer): void {
    if (this.#layer === layer) return
    this.#hasBacking = this.#layer !== null
    this.#layer = layer
    this.#resize(layer.size)
  }

  apply(change: Change): void {
    switch (change.kind) {
      case 'write':
      case 'compressed':
        this.bytes.set(contentBytes(change.content, change.bytes), change.offset)
        break
      case 'zero':
        this.bytes.fill(0, change.offset, change.offset + change.bytes)
        break
      case 'discard': {
        const range = discardedRange(this.#layer!, this.#hasBacking, this.bytes.length, change.offset, change.bytes)
        if (range !== null) this.bytes.fill(0, range.from, range.to)
        break
      }
      case 'resize':
        this.#resize(change.size)
        break
    }
  }

  /** Everything is as it was once. */
  restore(bytes: Uint8Array): void {
    this.bytes = bytes.slice()
  }

  /** How many bytes from `offset` on are the same one, at most `most`. */
  sameFrom(offset: number, most: number): number {
    const byte = this.bytes[offset]
    let end = offset + 1
    while (end < offset + most && this.bytes[end] === byte) end++
    return end - offset
  }

  #resize(size: number): void {
    const next = new Uint8Array(size)
    next.set(this.bytes.subarray(0, size))
    this.bytes = next
  }
}

/**
 * The clusters that a discard empties: whole ones, and a last one that the image cuts off. Version 2 cannot say "zero",
 * so nothing is given up there where a backing file would show through.
 */
export function discardedRange(layer: Layer, hasBacking: boolean, size: number, offset: number, bytes: number): { readonly from: number; readonly to: number } | null {
  if (layer.version === 2 && hasBacking) return null
  const { clusterSize } = layer
  const end = offset + bytes
  const from = Math.ceil(offset / clusterSize) * clusterSize
  const to = end === size ? end : Math.floor(end / clusterSize) * clusterSize
  return from < to ? { from, to } : null
}
