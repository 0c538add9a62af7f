import type { BlockNode, BlockStatus } from '@blockloom/block-core'
import { DONE } from '@blockloom/block-driver'
import { equalRange } from './compare/equal-range.ts'
import { alignedBuffer } from './pieces/aligned-buffer.ts'
import { isQuick } from './pieces/is-quick.ts'
import { Turns } from './pieces/turns.ts'

/** @public */
export interface CompareOptions {
  /** Sizes have to be equal, and so does what is allocated. Default false. */
  readonly strict?: boolean
  /** Bytes looked at, of the longer image in whole sectors. */
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void
  /** The common part is equal; the rest of the longer image, which has to be zeroes, comes next. */
  readonly onSizeMismatch?: () => void
  readonly signal?: AbortSignal
}

/**
 * What a comparison found. `offset` is where the images differ: for `content` the sector of 512 bytes, for `status`
 * the start of a run that is allocated differently.
 *
 * @public
 */
export type CompareResult =
  | { readonly identical: true; readonly sizesDiffer: boolean }
  | { readonly identical: false; readonly reason: 'content' | 'status' | 'size'; readonly offset: number }

/** What progress counts, unless a run is shorter. */
const STEP = 2 << 20

/** Longest piece: what files read ahead. */
const PIECE = 1 << 20

/** Pieces in flight, at most; each takes two buffers. */
const PARALLEL = 8

const SECTOR = 512

const roundUp = (size: number): number => Math.ceil(size / SECTOR) * SECTOR

/**
 * Compares what two images read as. Holes of both are skipped, memory does not depend on the size. A shorter image
 * counts as if zeroes followed. Sizes count in whole sectors.
 *
 * @throws whatever a read throws first; nothing is in flight any more by then
 * @public
 */
export async function compareImages(first: BlockNode, second: BlockNode, options: CompareOptions = {}): Promise<CompareResult> {
  const sizesDiffer = roundUp(first.size) !== roundUp(second.size)
  if (options.strict && sizesDiffer) return { identical: false, reason: 'size', offset: Math.min(first.size, second.size) }
  const total = roundUp(Math.max(first.size, second.size))
  const compared = new Pieces((done) => options.onProgress?.({ done, total }))
  options.onProgress?.({ done: 0, total })
  try {
    const common = Math.min(first.size, second.size)
    const status = await compareCommon(first, second, common, options, compared)
    // What is in flight lies in front of a difference in status.
    const found = (await compared.finish()) ?? status
    if (found !== null) return found
    if (first.size !== second.size) {
      if (sizesDiffer) options.onSizeMismatch?.()
      await compareRest(first.size > second.size ? first : second, common, options, compared)
      const inRest = await compared.finish()
      if (inRest !== null) return inRest
    }
    options.onProgress?.({ done: total, total })
    return { identical: true, sizesDiffer }
  } finally {
    await compared.settled()
  }
}

type Difference = Extract<CompareResult, { identical: false }>

async function compareCommon(first: BlockNode, second: BlockNode, end: number, options: CompareOptions, compared: Pieces): Promise<Difference | null> {
  for (let at = 0; at < end && !compared.found; ) {
    options.signal?.throwIfAborted()
    const a = await first.status(at, first.size - at)
    const b = await second.status(at, second.size - at)
    if (options.strict && !sameStatus(a, b, at, first.size, second.size)) return { identical: false, reason: 'status', offset: at }
    const bytes = Math.min(a.bytes, b.bytes, end - at)
    if (a.zero && b.zero) await compared.add(at, bytes, [])
    else if (a.zero || b.zero) await addPieces(at, bytes, [a.zero ? second : first], compared, options.signal)
    else await addPieces(at, bytes, [first, second], compared, options.signal)
    at += bytes
  }
  return null
}

async function compareRest(longer: BlockNode, from: number, options: CompareOptions, compared: Pieces): Promise<void> {
  for (let at = from; at < longer.size && !compared.found; ) {
    options.signal?.throwIfAborted()
    const status = await longer.status(at, longer.size - at)
    if (status.zero) await compared.add(at, status.bytes, [])
    else await addPieces(at, status.bytes, [longer], compared, options.signal)
    at += status.bytes
  }
}

async function addPieces(offset: number, bytes: number, nodes: readonly BlockNode[], compared: Pieces, signal: AbortSignal | undefined): Promise<void> {
  for (let done = 0; done < bytes && !compared.found; ) {
    signal?.throwIfAborted()
    const piece = Math.min(PIECE, bytes - done)
    done += piece
    await compared.add(offset + done - piece, piece, nodes, done % STEP === 0 || done === bytes)
  }
}

/** Strict comparison is about what the reference calls the status flags; that a run ends with its image is one of them. */
function sameStatus(a: BlockStatus, b: BlockStatus, at: number, sizeA: number, sizeB: number): boolean {
  return (
    a.data === b.data && a.zero === b.zero && a.allocated === b.allocated && a.encoded === b.encoded &&
    (a.host === undefined) === (b.host === undefined) &&
    (at + a.bytes === sizeA) === (at + b.bytes === sizeB)
  )
}

interface Piece {
  readonly end: number
  /** Progress is reported behind it. */
  readonly counts: boolean
  readonly result: Promise<number | null>
}

/** Pieces being compared; results are taken in order, so that the first difference is the one that is found. */
class Pieces {
  readonly #report: (done: number) => void
  readonly #queue: Piece[] = []
  readonly #buffers: Uint8Array[] = []
  readonly #turns = new Turns()
  /**
   * How many are in flight now. While everything is in the host's memory, one is enough, and its buffers stay in the
   * processor's cache; there is one more whenever something had to be waited for.
   */
  #parallel = 1
  #difference: Difference | null = null

  constructor(report: (done: number) => void) {
    this.#report = report
  }

  get found(): boolean {
    return this.#difference !== null
  }

  /** Compares two nodes, or one with zeroes, or (none) counts the piece as equal. */
  async add(offset: number, bytes: number, nodes: readonly BlockNode[], counts = true): Promise<void> {
    while (this.#queue.length >= this.#parallel) await this.#takeOne()
    const turn = this.#turns.spend(nodes.length * bytes)
    if (turn !== null) await turn
    if (this.found) return
    const result = nodes.length === 0 ? Promise.resolve(null) : this.#compare(offset, bytes, nodes)
    // A failure is thrown when its turn comes.
    result.catch(() => undefined)
    this.#queue.push({ end: offset + bytes, counts, result })
  }

  async finish(): Promise<Difference | null> {
    while (this.#queue.length > 0) await this.#takeOne()
    return this.#difference
  }

  /** Nothing is in flight afterwards. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#queue.map(({ result }) => result))
  }

  async #takeOne(): Promise<void> {
    const piece = this.#queue[0]!
    if (this.#parallel < PARALLEL && !(await isQuick(piece.result))) this.#parallel++
    const offset = await piece.result
    this.#queue.shift()
    if (this.#difference !== null) return
    if (offset === null) {
      if (piece.counts) this.#report(piece.end)
    } else this.#difference = { identical: false, reason: 'content', offset }
  }

  /** Offset of the first sector that differs, or null. */
  async #compare(offset: number, bytes: number, nodes: readonly BlockNode[]): Promise<number | null> {
    const buffers = nodes.map(() => this.#buffers.pop() ?? alignedBuffer(PIECE))
    const parts = bytes < PIECE ? buffers.map((buffer) => buffer.subarray(0, bytes)) : buffers
    const reads = nodes.map((node, i) => node.read(offset, parts[i]!))
    // What is done at once is not waited for.
    if (reads.some((read) => read !== DONE)) {
      for (const read of await Promise.allSettled(reads)) if (read.status === 'rejected') throw read.reason
    }
    const at = firstDifference(parts[0]!, parts[1] ?? null)
    if (at !== null) return offset + at
    this.#buffers.push(...buffers)
    return null
  }
}

/** Offset of the first sector that differs, or null; null for `b` stands for zeroes. */
function firstDifference(a: Uint8Array, b: Uint8Array | null): number | null {
  if (equalRange(a, b, 0, a.length)) return null
  for (let sector = 0; sector < a.length; sector += SECTOR) {
    if (!equalRange(a, b, sector, Math.min(a.length, sector + SECTOR))) return sector
  }
  return null
}
