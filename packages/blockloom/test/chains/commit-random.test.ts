import { oracleAvailable, SeededRandom, withTempFolder } from '@blockloom/oracle'
import { commitImage, openImage } from 'blockloom'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BASE_SEED } from '../differential/sequences.ts'
import { assertWeSee } from '../differential/ours.ts'
import { assertClean, assertReferenceSees } from '../differential/reference.ts'
import { mustRun, runTool } from '../differential/run-tool.ts'
import { beyond, buildChain, Pristine, storedRanges } from './random-chain.ts'

async function runCommit(seed: number): Promise<void> {
  await withTempFolder(async (root) => {
    const random = new SeededRandom(seed)
    const folder = join(root, 'chain')
    const depth = 2 + random.below(3)
    const { chain, contents } = await buildChain(folder, random, depth)
    const { top } = chain
    const deep = random.chance(0.5)
    const base = deep ? random.below(top) : top - 1
    const keep = random.chance(0.3)
    const pristine = new Pristine(folder)

    const overlay = await openImage(chain.file(top), { format: 'qcow2', write: true, implicit: 'allow', unmap: true })
    const refused = await commitImage(overlay, { ...(deep ? { base: chain.file(base) } : {}), ...(keep ? { empty: false } : {}) }).then(
      () => null,
      (error: unknown) => error,
    )
    const reference = ['commit', '-q', '-t', 'unsafe', '-f', 'qcow2', ...(deep ? ['-b', chain.file(base)] : []), ...(keep ? ['-d'] : []), chain.file(top)]
    if (refused !== null) {
      expect(refused).toMatchObject({ message: expect.stringMatching(/Can't resize a v2 image which has snapshots$/) as string })
      expect(await runTool('qemu-img', reference)).toMatchObject({ status: 1, stderr: 'qemu-img: Block job failed: Operation not supported\n' })
      return
    }

    const merged = expectedBase(contents[base]!, contents[top]!)
    const format = (layer: number): string => chain.layers[layer]!.format
    await assertWeSee(merged, chain.file(base), format(base))
    await assertWeSee(contents[top]!, chain.file(top), 'qcow2')
    await assertReferenceSees(merged, chain.file(base), format(base))
    await assertReferenceSees(contents[top]!, chain.file(top), 'qcow2')
    for (let i = 0; i <= top; i++) if (format(i) === 'qcow2') await assertClean(chain.file(i))
    const stored = async (): Promise<ReturnType<typeof storedRanges>> => storedRanges(await mustRun('qemu-img', ['map', '--output=json', '-f', format(base), chain.file(base)]))
    const ours = await stored()

    pristine.restore()
    const { status, stderr } = await runTool('qemu-img', reference)
    if (status !== 0) {
      // It cannot grow an image of version 2 that has snapshots or a longer backing file.
      expect({ stderr, version: chain.layers[base]!.version }).toEqual({ stderr: 'qemu-img: Block job failed: Operation not supported\n', version: 2 })
      return
    }
    // The reference copies in blocks of its own size, so it may store more; zeroes in version 2 are stored by us alone.
    if (chain.layers[base]!.version === 3) expect(beyond(ours, await stored())).toEqual([])
  })
}

/** A base that is longer keeps what it has behind the overlay's end. */
function expectedBase(before: Uint8Array, overlay: Uint8Array): Uint8Array {
  const out = new Uint8Array(Math.max(before.length, overlay.length))
  out.set(before)
  out.set(overlay)
  return out
}

describe.runIf(oracleAvailable())('commit makes of a chain what qemu-img makes of it', () => {
  const fresh = Math.floor(Math.random() * 0x7fff0000)
  for (const [name, first, count] of [['', BASE_SEED + 7000, 14], ['nobody has seen before, ', fresh, 2]] as const) {
    for (let seed = first; seed < first + count; seed++) {
      test(`${name}seed ${seed}`, () => runCommit(seed))
    }
  }
})
