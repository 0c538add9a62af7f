import { withTempFolder } from '@blockloom/oracle'
import { actByReference } from './act-by-reference.ts'
import { actByUs } from './act-by-us.ts'
import { describeAct, type Act } from './acts.ts'
import { Chain } from './chain.ts'
import { finishByReference, finishByUs } from './finale.ts'
import { GuestModel } from './model.ts'
import { randomSequence, type Sequence, type Session } from './operations.ts'
import { assertWeFindClean, assertWeSee, assertWeSeeSnapshot, createByUs, writeByUs } from './ours.ts'
import { assertClean, assertReferenceSees, assertReferenceSeesBitmaps, assertSameFile, createByReference, ioCommand, writeByReference } from './reference.ts'

/** Who creates the layers and runs the sessions. In `mixed` they take turns. */
export type Writer = 'us' | 'reference' | 'mixed'

/** Base of the fixed seeds; `BLOCKLOOM_SEED` gives another one. */
export const BASE_SEED = Number(process.env['BLOCKLOOM_SEED'] ?? 0x626c6b)

/** Sequences at once: most of the time is waiting for processes. */
const PARALLEL = 4

/** Runs the sequences of `count` seeds. */
export async function runSequences(writer: Writer, firstSeed: number, count: number): Promise<void> {
  let next = firstSeed
  const worker = async (): Promise<void> => {
    while (next < firstSeed + count) {
      const seed = next++
      await runSequence(randomSequence(seed, writer !== 'us'), writer)
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, worker))
}

/** Runs one sequence; a failure says how to get it again. */
export async function runSequence(sequence: Sequence, writer: Writer): Promise<void> {
  await withTempFolder(async (folder) => {
    try {
      await writeAndRead(new Chain(folder, sequence.layers), sequence, writer)
    } catch (error) {
      throw new Error(`Seed ${sequence.seed}, written by ${writer}: ${String(error)}\n${describeSequence(sequence)}`, { cause: error })
    }
  })
}

async function writeAndRead(chain: Chain, sequence: Sequence, writer: Writer): Promise<void> {
  const model = new GuestModel()
  if (writer === 'reference') await writeAllByReference(chain, sequence, model)
  else await writeInTurn(chain, sequence, model, writer)
  await assertAllIsThere(chain, model, writer)
}

/** In as few processes as possible. */
async function writeAllByReference(chain: Chain, { layers, sessions, finale }: Sequence, model: GuestModel): Promise<void> {
  for (const i of layers.keys()) await createByReference(chain, i)
  let together: Session[] = []
  for (const session of sessions) {
    if (session.acts.length > 0) {
      await writeByReference(chain, together, model)
      together = []
    }
    for (const act of session.acts) {
      await actByReference(chain, session.layer, act)
      noteAct(chain, session.layer, act, model)
    }
    together.push(session)
  }
  await writeByReference(chain, together, model)
  if (finale !== null) await finishByReference(chain, finale)
}

async function writeInTurn(chain: Chain, { seed, sessions, finale }: Sequence, model: GuestModel, writer: Writer): Promise<void> {
  const stamps: string[] = []
  // Whose turn it is depends on the seed.
  const ours = (n: number): boolean => writer === 'us' || (n + seed) % 2 === 0
  for (const [n, session] of sessions.entries()) {
    const { layer } = session
    if (layer !== sessions[n - 1]?.layer) {
      await (ours(n + 1) ? createByUs : createByReference)(chain, layer)
      if (layer > 0) stamps.push(chain.stamp(layer - 1))
    }
    for (const act of session.acts) {
      await (ours(n + 1) ? actByUs : actByReference)(chain, layer, act)
      noteAct(chain, layer, act, model)
    }
    await (ours(n) ? writeByUs : writeByReference)(chain, [session], model)
  }
  for (let i = 0; i < chain.top; i++) {
    if (chain.stamp(i) !== stamps[i]) throw new Error(`Layer ${i} was written to while it was a backing file`)
  }
  if (finale !== null) await (ours(sessions.length) ? finishByUs : finishByReference)(chain, finale)
}

function noteAct(chain: Chain, layer: number, act: Act, model: GuestModel): void {
  chain.bitmaps[layer]!.act(act)
  if (act.kind === 'take') chain.snapshots.push({ layer, name: act.name, bytes: model.bytes.slice() })
  else if (act.kind === 'remove') chain.snapshots = chain.snapshots.filter(({ name }) => name !== act.name)
  else if (act.kind === 'revert') model.restore(chain.snapshots.find(({ name }) => name === act.name)!.bytes)
}

/** We see what should be there, and find everything clean; so does the reference, unless it was alone. */
async function assertAllIsThere(chain: Chain, model: GuestModel, writer: Writer): Promise<void> {
  const { top } = chain
  const { format, dataFile, clusterSize } = chain.layers[top]!
  await assertWeSee(model.bytes, chain.file(top), format, chain.key(top))
  for (const { layer, name, bytes } of chain.snapshots) await assertWeSeeSnapshot(bytes, chain.file(layer), name, chain.key(layer))
  for (const [i, layer] of chain.layers.entries()) {
    if (layer.format === 'qcow2') await assertWeFindClean(chain, i)
  }
  if (writer === 'reference') return
  const encrypted = (layer: number): boolean => chain.isEncrypted(layer)
  await Promise.all([
    ...chain.snapshots.map(({ layer, name, bytes }) => assertReferenceSees(bytes, chain.file(layer), 'qcow2', ['-l', `snapshot.name=${name}`], encrypted(layer))),
    assertReferenceSees(model.bytes, chain.file(top), format, [], encrypted(top)),
    ...chain.layers.map((layer, i) => (layer.format === 'raw' ? undefined : assertClean(chain.file(i), encrypted(i)))),
  ])
  for (const i of chain.layers.keys()) await assertReferenceSeesBitmaps(chain, i)
  // Whole clusters of it are in use, also where the reference wrote.
  if (dataFile === 'raw') assertSameFile(chain.dataFile(top), model.bytes, clusterSize - 1)
}

/** A sequence as images and qemu-io commands. */
export function describeSequence({ layers, sessions, finale }: Sequence): string {
  const lines = layers.map((layer, i) => `layer ${i}: ${JSON.stringify(layer)}`)
  for (const { layer, operations, acts, killed } of sessions) {
    for (const act of acts) lines.push(`layer ${layer}: ${describeAct(act)}`)
    lines.push(`open layer ${layer}`)
    for (const operation of operations) {
      if (operation.kind === 'flush') lines.push('  flush')
      else if (operation.kind === 'read') lines.push(`  read ${operation.offset} ${operation.bytes}`)
      else lines.push(`  ${ioCommand(operation, '')}`)
    }
    if (killed) lines.push('killed')
  }
  if (finale !== null) lines.push(JSON.stringify(finale))
  return lines.join('\n')
}
