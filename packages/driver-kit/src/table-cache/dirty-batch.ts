import type { ChildHandle } from '@blockloom/block-driver'
import type { TableEntry } from './table-entry.ts'

/** Writes of one batch that are in flight at the same time. */
const PARALLEL = 16

interface Copy {
  readonly entry: TableEntry
  readonly from: number
  readonly bytes: Uint8Array
}

/** What a batch needs of its cache. @internal */
export interface BatchOwner {
  readonly child: ChildHandle
  changed(entry: TableEntry, from: number, to: number): void
  done(batch: DirtyBatch, bytesWritten: number): void
}

/**
 * Copies of all that was dirty at one moment. Later changes of the entries are not in it.
 *
 * Exactly one of `write` and `restore` is called, once; until it is done the entries are not evicted and no other
 * batch of the same cache can be taken.
 *
 * @public
 */
export class DirtyBatch {
  readonly #owner: BatchOwner
  readonly #copies: Copy[] = []

  /** @internal */
  constructor(owner: BatchOwner, entries: Iterable<TableEntry>, align: number) {
    this.#owner = owner
    for (const entry of entries) {
      // Whole units, so that a child with large blocks need not read before it writes.
      const from = entry.dirtyFrom - (entry.dirtyFrom % align)
      const to = Math.min(entry.bytes.length, Math.ceil(entry.dirtyTo / align) * align)
      this.#copies.push({ entry, from, bytes: entry.bytes.slice(from, to) })
      entry.dirtyFrom = entry.bytes.length
      entry.dirtyTo = 0
      entry.writing++
    }
  }

  /** Nothing was dirty. */
  get empty(): boolean {
    return this.#copies.length === 0
  }

  /**
   * Writes the copies; does not flush.
   *
   * What could not be written is dirty again, and the promise rejects with the first error after all writes ended.
   */
  async write(): Promise<void> {
    let next = 0
    let written = 0
    let failure: { readonly error: unknown } | undefined
    const worker = async (): Promise<void> => {
      while (next < this.#copies.length) {
        const copy = this.#copies[next++]!
        try {
          if (failure !== undefined) this.#giveBack(copy)
          else if (!copy.entry.dropped) {
            await this.#owner.child.write(copy.entry.offset + copy.from, copy.bytes)
            written += copy.bytes.length
          }
        } catch (error) {
          this.#giveBack(copy)
          failure ??= { error }
        } finally {
          copy.entry.writing--
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(PARALLEL, this.#copies.length) }, worker))
    this.#owner.done(this, written)
    if (failure !== undefined) throw failure.error
  }

  /** Gives up: everything is dirty again. */
  restore(): void {
    for (const copy of this.#copies) {
      this.#giveBack(copy)
      copy.entry.writing--
    }
    this.#owner.done(this, 0)
  }

  #giveBack(copy: Copy): void {
    if (!copy.entry.dropped) this.#owner.changed(copy.entry, copy.from, copy.from + copy.bytes.length)
  }
}
