import type koffi from 'koffi'

/**
 * koffi, if it can be had without its loader: that is written in JavaScript and takes 8 ms, as long as everything else
 * that a short command does.
 *
 * @throws Error if it is not installed
 * @internal
 */
export function requireKoffi(): typeof koffi {
  const require = process.getBuiltinModule('node:module').createRequire(import.meta.url)
  return compiledPart(require) ?? (require('koffi') as typeof koffi)
}

/**
 * It is a dependency of koffi, and is asked for from where koffi really is; asking Node where that is would take 1 ms.
 * `undefined` if it is not where it is expected: the loader finds it.
 */
function compiledPart(require: NodeJS.Require): typeof koffi | undefined {
  const { existsSync, realpathSync } = process.getBuiltinModule('node:fs')
  const { join } = process.getBuiltinModule('node:path')
  const { createRequire } = process.getBuiltinModule('node:module')
  const { platform, arch } = process
  try {
    const installed = require.resolve.paths('koffi')?.find((modules) => existsSync(join(modules, 'koffi')))
    if (installed === undefined) return undefined
    const ofKoffi = createRequire(join(realpathSync(join(installed, 'koffi')), 'package.json'))
    const found: unknown = ofKoffi(`@koromix/koffi-${platform}-${arch}/${platform}_${arch}/koffi.node`)
    return isKoffi(found) ? found : undefined
  } catch {
    return undefined
  }
}

function isKoffi(found: unknown): found is typeof koffi {
  const { load, errno } = found as Partial<typeof koffi>
  return typeof load === 'function' && typeof errno === 'function'
}
