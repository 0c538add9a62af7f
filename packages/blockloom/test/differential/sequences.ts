import { withTempFolder } from '@blockloom/oracle'
import { Chain } from './chain.ts'
import { GuestModel } from './model.ts'
import { randomSequence, type Sequence } from './operations.ts'
import { assertWeSee, assertWeSeeSnapshot, createByUs, writeByUs } from './ours.ts'
import { assertClean, assertReferenceSees, assertSameFile, createByReference, ioCommand, writeByReference } from './reference.ts'

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
  const stamps: string[] = []
  if (writer === 'reference') {
    for (const i of chain.layers.keys()) await createByReference(chain, i)
    await writeByReference(chain, sequence.sessions, model)
  } else {
    // Whose turn it is depends on the seed.
    const ours = (n: number): boolean => writer === 'us' || (n + sequence.seed) % 2 === 0
    for (const [n, session] of sequence.sessions.entries()) {
      const isNew = session.layer !== sequence.sessions[n - 1]?.layer
      if (isNew) {
        await (ours(n + 1) ? createByUs : createByReference)(chain, session.layer)
        if (session.layer > 0) stamps.push(chain.stamp(session.layer - 1))
      }
      await (ours(n) ? writeByUs : writeByReference)(chain, [session], model)
    }
  }
  const { top } = chain
  const { format, dataFile, clusterSize } = chain.layers[top]!
  await assertWeSee(model.bytes, chain.file(top), format)
  for (const { layer, name, bytes } of chain.snapshots) await assertWeSeeSnapshot(bytes, chain.file(layer), name)
  if (writer === 'reference') return
  await Promise.all([
    ...chain.snapshots.map(({ layer, name, bytes }) => assertReferenceSees(bytes, chain.file(layer), 'qcow2', ['-l', `snapshot.name=${name}`])),
    assertReferenceSees(model.bytes, chain.file(top), format),
    ...chain.layers.map((layer, i) => (layer.format === 'raw' ? undefined : assertClean(chain.file(i)))),
  ])
  for (let i = 0; i < top; i++) {
    if (chain.stamp(i) !== stamps[i]) throw new Error(`Layer ${i} was written to while it was a backing file`)
  }
  // Whole clusters of it are in use, also where the reference wrote.
  if (dataFile === 'raw') assertSameFile(chain.dataFile(top), model.bytes, clusterSize - 1)
}

/** A sequence as images and qemu-io commands. */
export function describeSequence({ layers, sessions }: Sequence): string {
  const lines = layers.map((layer, i) => `layer ${i}: ${JSON.stringify(layer)}`)
  for (const { layer, operations, snapshot } of sessions) {
    if (snapshot) lines.push(`snapshot layer ${layer}`)
    lines.push(`open layer ${layer}`)
    for (const operation of operations) {
      if (operation.kind === 'flush') lines.push('  flush')
      else if (operation.kind === 'read') lines.push(`  read ${operation.offset} ${operation.bytes}`)
      else lines.push(`  ${ioCommand(operation, '')}`)
    }
  }
  return lines.join('\n')
}
