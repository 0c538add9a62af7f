import { isBlockError, type Instance } from '@blockloom/block-driver'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeHeaderArea } from '../../src/on-disk/header-area.ts'
import { MemoryChild } from '../harness/memory-child.ts'
import { openQcow2 } from '../harness/open.ts'
import { Random } from '../harness/random.ts'
import { haveReference, Reference } from '../harness/reference.ts'
import { amend } from './reference-amend.ts'

const CHANGES: Readonly<Record<string, (image: Instance) => Promise<void>>> = {
  'compat=0.10': (image) => amend(image, 'compat=0.10'),
  'refcount_bits=64': (image) => amend(image, 'refcount_bits=64'),
  'refcount_bits=4': (image) => amend(image, 'refcount_bits=4'),
  'size=2M,lazy_refcounts=on': (image) => amend(image, 'size=2M,lazy_refcounts=on'),
  'makeEmpty': (image) => image.makeEmpty!(),
  'backing.change': (image) => image.backing!.change!({ filename: 'x', format: 'raw' }),
}

/** Images of each kind, and changes of each. */
const MUTANTS = Number(process.env['AMEND_MUTANTS'] ?? 60)

describe.runIf(haveReference)('a damaged image', { timeout: 60_000 }, () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())
  const images: Uint8Array[] = []
  beforeAll(() => {
    for (const [index, options] of ['cluster_size=512', 'cluster_size=4k', 'cluster_size=1k,refcount_bits=8'].entries()) {
      const name = `start-${index}.qcow2`
      tools.create(name, '256k', options)
      tools.io(name, 'write -P 1 0 100k', 'write -z 10k 20k')
      tools.img('snapshot', '-c', 'one', name)
      tools.io(name, 'write -P 2 50k 60k', 'write -z 130k 20k')
      if (index === 1) tools.img('bitmap', '--add', name, 'b')
      images.push(tools.load(name).content)
    }
  })

  for (const [what, change] of Object.entries(CHANGES)) {
    it(`is refused, or changed, and never more: ${what}`, async () => {
      const seed = what.length
      const random = new Random(seed)
      let refused = 0
      for (let mutant = 0; mutant < MUTANTS; mutant++) {
        const bytes = random.pick(images).slice()
        const where = `seed ${seed}, mutant ${mutant}`
        damage(bytes, random)
        const file = new MemoryChild({ content: bytes })
        let requests = 0
        file.before = (_op, offset, length) => {
          if (++requests > 20_000) throw new Error('it does not end')
          if (offset + length > 2 ** 28) throw Object.assign(new Error('far behind the end'), { code: 'no-space' })
        }
        const outcome = await openQcow2({ file, mode: { noBacking: true } })
          .then(async (image) => {
            await change(image)
            await image.close()
          })
          .then(
            () => null,
            (error: unknown) => error,
          )
        if (outcome === null) continue
        refused++
        const isExpected = isBlockError(outcome) || String(outcome).includes('far behind the end')
        if (!isExpected) throw new Error(`${where}: ${String(outcome)}`, { cause: outcome })
      }
      expect(refused).toBeGreaterThan(2)
    })
  }

  it('cannot make a small file take long: one refcount block for all, tables behind the end', async () => {
    const bytes = images[0]!.slice()
    const { header } = decodeHeaderArea(bytes)
    const table = new DataView(bytes.buffer, header.refcountTableOffset, header.refcountTableClusters * 512)
    for (let at = 8; at < table.byteLength; at += 8) table.setBigUint64(at, table.getBigUint64(0))
    const twice = await openQcow2({ file: new MemoryChild({ content: bytes }) })
    await expect(amend(twice, 'refcount_bits=64')).rejects.toThrow('cannot be (reftable index')

    const beyond = images[0]!.slice()
    new DataView(beyond.buffer).setBigUint64(header.l1Offset, 0x8000_0100_0000_0000n)
    const far = await openQcow2({ file: new MemoryChild({ content: beyond }) })
    await expect(amend(far, 'compat=0.10')).rejects.toThrow('behind the end of the file')
  })
})

/** Some bytes of tables are others. */
function damage(bytes: Uint8Array, random: Random): void {
  const { header } = decodeHeaderArea(bytes)
  const view = new DataView(bytes.buffer)
  const places = [24, header.l1Offset, header.refcountTableOffset, Number(view.getBigUint64(header.refcountTableOffset)), header.snapshotTableOffset]
  for (let entry = 0; entry < header.l1Entries; entry++) places.push(Number(view.getBigUint64(header.l1Offset + entry * 8) & 0x00ff_ffff_ffff_fe00n))
  for (let count = 1 + random.below(6); count > 0; count--) {
    const at = random.pick(places) + random.below(random.pick([8, 64, 512]))
    if (at >= bytes.length) continue
    if (random.chance(0.5)) bytes[at] = random.below(256)
    else if (at + 8 <= bytes.length) view.setBigUint64(at - (at % 8), random.pick([0n, 0x8000_0000_0000_0001n, 1n, 0x8000_0000_0000_0200n, 512n * BigInt(random.below(300)), 0xffff_ffff_ffff_ffffn]))
  }
}
