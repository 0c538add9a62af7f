import { oracleAvailable, SeededRandom, withTempFolder } from '@blockloom/oracle'
import { openImage, rebaseImage } from 'blockloom'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { assertWeSee } from '../differential/ours.ts'
import { assertClean, assertReferenceSees } from '../differential/reference.ts'
import { mustRun } from '../differential/run-tool.ts'
import { BASE_SEED } from '../differential/sequences.ts'
import { beyond, buildChain, Pristine, storedRanges } from './random-chain.ts'

type Target = { readonly filename: string; readonly format: string } | null

async function runRebase(seed: number): Promise<void> {
  await withTempFolder(async (root) => {
    const random = new SeededRandom(seed)
    const folder = join(root, 'chain')
    const { chain, contents } = await buildChain(folder, random, 1 + random.below(4))
    const { top } = chain
    const expected = contents[top]!
    const image = chain.file(top)
    const backing = await newBacking(random, root, chain)
    const compress = chain.layers[top]!.dataFile === 'none' && random.chance(0.25)
    const pristine = new Pristine(folder)

    const overlay = await openImage(image, { format: 'qcow2', write: true, implicit: 'allow' })
    if (chain.layers[top]!.dataFile === 'raw' && backing !== null) {
      await expect(rebaseImage(overlay, { backing, compress })).rejects.toMatchObject({ code: 'invalid', detail: { stage: 'header' } })
      await overlay.close()
      await assertWeSee(expected, image, 'qcow2')
      return
    }
    await rebaseImage(overlay, { backing, compress })
    await overlay.close()

    await assertWeSee(expected, image, 'qcow2')
    await assertReferenceSees(expected, image, 'qcow2')
    await assertClean(image)
    const { 'backing-filename': named = null, 'backing-filename-format': format = null } = JSON.parse(await mustRun('qemu-img', ['info', '--output=json', '-f', 'qcow2', image])) as Record<string, string>
    expect({ named, format }).toEqual({ named: backing?.filename ?? null, format: backing?.format ?? null })
    const stored = async (): Promise<ReturnType<typeof storedRanges>> => storedRanges(await mustRun('qemu-img', ['map', '--output=json', '-f', 'qcow2', image]))
    const ours = await stored()

    pristine.restore()
    await mustRun('qemu-img', ['rebase', '-t', 'unsafe', '-f', 'qcow2', '-b', backing?.filename ?? '', ...(backing === null ? [] : ['-F', backing.format]), image])
    const theirs = await stored()
    // Compressing takes whole clusters. In an image of version 2 without a backing file the reference forgets zeroes, so that
    // the new backing file shows.
    if (!compress && chain.layers[top]!.version === 3) expect(beyond(ours, theirs)).toEqual([])
  })
}

/** None, a layer further down, or the top of another chain: one of its own, or on a layer of the old one. */
async function newBacking(random: SeededRandom, root: string, chain: { readonly top: number; file(layer: number): string; readonly layers: readonly { readonly format: string }[] }): Promise<Target> {
  const dice = random.next()
  if (dice < 0.15) return null
  if (dice < 0.45 && chain.top > 0) {
    const layer = random.below(chain.top)
    return { filename: chain.file(layer), format: chain.layers[layer]!.format }
  }
  const other = await buildChain(join(root, 'other'), random, 1 + random.below(3))
  const at = other.chain.top
  if (chain.top > 0 && random.chance(0.5)) {
    const layer = random.below(chain.top)
    const bottom = other.chain.layers[0]!
    // Its content changes with what is below it; nothing here depends on that.
    if (bottom.format === 'qcow2' && bottom.dataFile !== 'raw') await mustRun('qemu-img', ['rebase', '-u', '-f', 'qcow2', '-b', chain.file(layer), '-F', chain.layers[layer]!.format, other.chain.file(0)])
  }
  return { filename: other.chain.file(at), format: other.chain.layers[at]!.format }
}

describe.runIf(oracleAvailable())('rebase keeps what a chain reads as, and stores no more than qemu-img', () => {
  const fresh = Math.floor(Math.random() * 0x7fff0000)
  for (const [name, first, count] of [['', BASE_SEED + 8000, 14], ['nobody has seen before, ', fresh, 2]] as const) {
    for (let seed = first; seed < first + count; seed++) {
      test(`${name}seed ${seed}`, () => runRebase(seed))
    }
  }
})
