import { SeededRandom, withTempFolder } from '@blockloom/oracle'
import { setImmediate } from 'node:timers/promises'
import { Chain } from './chain.ts'
import { assertSameBytes } from './compare.ts'
import type { Content } from './content.ts'
import { randomLayer, type Layer } from './layer.ts'
import { GuestModel } from './model.ts'
import { OperationMaker, type RangeChange, type Session } from './operations.ts'
import { applyChange, assertWeSee, createByUs, openForWriting, writeByUs } from './ours.ts'
import { assertClean, assertReferenceSees, createByReference, ioCommand, openCommand, runIo, writeByReference } from './reference.ts'

/** Writers at once. */
const WRITERS = 16

/** Changes of each writer, one after the other. */
const CHANGES = 8

interface Piece {
  readonly from: number
  readonly to: number
}

/** A chain with something in it, and writers that change its top at the same time, each its own bytes. */
interface Contest {
  readonly layers: readonly Layer[]
  readonly before: readonly Session[]
  readonly writers: readonly (readonly RangeChange[])[]
}

function randomContest(seed: number, reference: boolean): Contest {
  const random = new SeededRandom(seed)
  const layers: Layer[] = []
  const before: Session[] = []
  const depth = random.pick([1, 2, 3])
  for (let i = 0; i < depth; i++) {
    const layer = randomLayer(random, seed + 5 * i, layers[i - 1] ?? null, false)
    layers.push(layer)
    if (i === depth - 1) break
    const maker = new OperationMaker(random, layer, i > 0, true)
    before.push({ layer: i, acts: [], operations: Array.from({ length: 8 }, () => maker.next()), killed: false })
  }
  const top = layers[depth - 1]!
  const pieces = randomPieces(random, top.size)
  const writers = Array.from({ length: WRITERS }, (_, w) => {
    const own = pieces.filter((__, i) => i % WRITERS === w)
    return Array.from({ length: CHANGES }, (__, n) => randomChange(random, top, random.pick(own), n, reference))
  })
  return { layers, before, writers }
}

/** Cuts the image at random bytes: neighbours in one cluster belong to different writers. */
function randomPieces(random: SeededRandom, size: number): Piece[] {
  const cuts = new Set<number>()
  while (cuts.size < WRITERS * 3 - 1) cuts.add(1 + random.below(size - 1))
  const edges = [0, ...[...cuts].sort((a, b) => a - b), size]
  return edges.slice(1).map((to, i) => ({ from: edges[i]!, to }))
}

function randomChange(random: SeededRandom, layer: Layer, piece: Piece, turn: number, reference: boolean): RangeChange {
  const { clusterSize } = layer
  const all = random.chance(0.3)
  const offset = all ? piece.from : piece.from + random.below(piece.to - piece.from)
  const bytes = all ? piece.to - piece.from : 1 + random.below(piece.to - offset)
  const dice = random.next()
  // The reference compresses into empty clusters only (see randomSequence).
  const mayCompress = layer.dataFile === 'none' && (!reference || (turn === 0 && layer.preallocation === 'off'))
  const first = Math.ceil(piece.from / clusterSize)
  if (dice < (reference ? 0.5 : 0.15) && mayCompress && (first + 1) * clusterSize <= piece.to) {
    const clusters = Math.min(3, Math.floor(piece.to / clusterSize) - first)
    return { kind: 'compressed', offset: first * clusterSize, bytes: clusters * clusterSize, content: random.pick<Content>([random.below(256), 'text', 'text']) }
  }
  if (dice < 0.25) return { kind: 'discard', offset: piece.from, bytes: piece.to - piece.from }
  if (dice < 0.45) return { kind: 'zero', offset, bytes, unmap: random.chance(0.5) }
  return { kind: 'write', offset, bytes, content: reference ? random.below(256) : random.pick<Content>([random.below(256), 'noise', 'text']) }
}

/** Runs contests of `count` seeds. */
export async function runContests(writer: 'us' | 'reference', firstSeed: number, count: number): Promise<void> {
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const contest = randomContest(seed, writer === 'reference')
    await withTempFolder(async (folder) => {
      try {
        await (writer === 'us' ? contestByUs : contestByReference)(new Chain(folder, contest.layers), contest)
      } catch (error) {
        throw new Error(`Seed ${seed}, ${WRITERS} writers by ${writer}: ${String(error)}\n${describeContest(contest)}`, { cause: error })
      }
    })
  }
}

async function contestByUs(chain: Chain, { layers, before, writers }: Contest): Promise<void> {
  const model = new GuestModel()
  for (const i of layers.keys()) await createByUs(chain, i)
  await writeByUs(chain, before, model)
  const { top } = chain
  const { format } = layers[top]!
  model.open(layers[top]!)
  const disk = await openForWriting(chain.file(top), format)
  try {
    let busy = true
    const flusher = async (): Promise<void> => {
      while (busy) {
        await disk.flush()
        await setImmediate()
      }
    }
    const flushes = flusher()
    const results = await Promise.allSettled(
      writers.map(async (changes) => {
        for (const change of changes) {
          await applyChange(disk, change)
          model.apply(change)
          if (change.kind === 'discard') continue
          const seen = await disk.read(change.offset, change.bytes)
          assertSameBytes(seen, model.bytes.subarray(change.offset, change.offset + change.bytes), change.offset)
        }
      }),
    )
    busy = false
    await flushes
    for (const result of results) if (result.status === 'rejected') throw result.reason
  } finally {
    await disk.close()
  }
  await Promise.all([
    assertReferenceSees(model.bytes, chain.file(top), format),
    assertWeSee(model.bytes, chain.file(top), format),
    ...layers.map((_, i) => assertClean(chain.file(i))),
  ])
}

async function contestByReference(chain: Chain, { layers, before, writers }: Contest): Promise<void> {
  const model = new GuestModel()
  for (const i of layers.keys()) await createByReference(chain, i)
  if (before.length > 0) await writeByReference(chain, before, model)
  const { top } = chain
  model.open(layers[top]!)
  const script = [openCommand(chain, top)]
  for (let turn = 0; turn < CHANGES; turn++) {
    for (const changes of writers) {
      const change = changes[turn]!
      const command = ioCommand(change, chain.folder)
      // Only these two can be in flight; the others wait, but not for those.
      script.push(change.kind === 'write' || change.kind === 'zero' ? `aio_${command}` : command)
      model.apply(change)
    }
    script.push('aio_flush')
  }
  await runIo([...script, 'close'])
  await assertWeSee(model.bytes, chain.file(top), layers[top]!.format)
}

function describeContest({ layers, before, writers }: Contest): string {
  const lines = layers.map((layer, i) => `layer ${i}: ${JSON.stringify(layer)}`)
  lines.push(`before: ${JSON.stringify(before)}`)
  for (const [i, changes] of writers.entries()) lines.push(`writer ${i}`, ...changes.map((change) => `  ${ioCommand(change, '')}`))
  return lines.join('\n')
}
