import type { Act } from './acts.ts'
import type { Chain } from './chain.ts'
import { spoil } from './leaks.ts'
import { openForWriting } from './ours.ts'

/** Does it with blockloom. */
export async function actByUs(chain: Chain, layer: number, act: Act): Promise<void> {
  if (act.kind === 'leak') {
    const leaks = spoil(chain.file(layer))
    await using disk = await openForWriting(chain.file(layer), 'qcow2', { forCheck: true, ...chain.key(layer) })
    const { leaksFixed, corruptions, checkErrors } = await disk.node.check!.check({ fix: 'leaks' })
    if (leaksFixed !== leaks || corruptions + checkErrors > 0) throw new Error(`Our repair says ${leaksFixed} of ${leaks} leaks, ${corruptions} corruptions, ${checkErrors} errors`)
    return
  }
  await using disk = await openForWriting(chain.file(layer), 'qcow2', chain.key(layer))
  const { snapshots, amend, dirtyBitmaps } = disk.node
  switch (act.kind) {
    case 'take':
      await snapshots!.create!({ name: act.name })
      break
    case 'revert':
    case 'remove':
      await snapshots![act.kind]!(act.name)
      break
    case 'amend':
      await amend!.amend(amended(act.options), { progress: () => {} })
      break
    case 'bitmap':
      if (act.action === 'add') dirtyBitmaps.add({ name: act.name, granularity: act.granularity, persistent: true })
      else if (act.action === 'remove') await dirtyBitmaps.remove(act.name)
      else dirtyBitmaps.get(act.name)[act.action]()
      break
  }
}

/** Options as the driver gets them: the core has parsed them. */
function amended(options: Readonly<Record<string, string>>): Record<string, unknown> {
  const { lazy_refcounts: lazy, refcount_bits: bits, ...rest } = options
  return { ...rest, ...(lazy === undefined ? {} : { lazy_refcounts: lazy === 'on' }), ...(bits === undefined ? {} : { refcount_bits: Number(bits) }) }
}
