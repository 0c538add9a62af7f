import { actByUs } from './act-by-us.ts'
import type { Act } from './acts.ts'
import type { Chain } from './chain.ts'
import { spoil } from './leaks.ts'
import { imageArguments } from './reference.ts'
import { mustRun, runTool } from './run-tool.ts'

const SNAPSHOT_OPTION = { take: '-c', revert: '-a', remove: '-d' } as const

/** Does it with qemu-img. */
export async function actByReference(chain: Chain, layer: number, act: Act): Promise<void> {
  const image = imageArguments(chain, layer)
  switch (act.kind) {
    case 'take':
    case 'revert':
    case 'remove':
      // It knows no formats.
      await mustRun('qemu-img', ['snapshot', '-q', SNAPSHOT_OPTION[act.kind], act.name, ...image.filter((part, i) => part !== '-f' && image[i - 1] !== '-f')])
      break
    case 'amend':
      // Changing the width of refcounts, it takes a minute for some images and for ever for others (7.2).
      if ('refcount_bits' in act.options) return actByUs(chain, layer, act)
      await mustRun('qemu-img', ['amend', '-q', '-o', Object.entries(act.options).map((option) => option.join('=')).join(), ...image])
      break
    case 'bitmap':
      await mustRun('qemu-img', ['bitmap', `--${act.action}`, ...(act.action === 'add' ? ['-g', String(act.granularity)] : []), ...image, act.name])
      break
    case 'leak': {
      const leaks = spoil(chain.file(layer))
      const { status, stdout, stderr } = await runTool('qemu-img', ['check', '-r', 'leaks', ...image])
      const fixed = Number(/(\d+) leaked clusters/.exec(stdout)?.[1] ?? 0)
      if (status !== 0 || fixed !== leaks) throw new Error(`The reference's repair ends with ${status}, ${fixed} of ${leaks} leaks: ${stdout}${stderr}`)
      break
    }
  }
}
