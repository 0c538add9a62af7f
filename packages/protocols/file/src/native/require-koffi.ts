import type koffi from 'koffi'

/**
 * koffi, if it can be had without its loader: that is written in JavaScript and takes 8 ms, as long as everything else
 * that a short command does.
 *
 * @throws Error if it is not installed
 * @internal
 */
export function requireKoffi(): typeof koffi {
  const { createRequire } = process.getBuiltinModule('node:module')
  const require = createRequire(import.meta.url)
  return compiledPart(createRequire(require.resolve('koffi'))) ?? (require('koffi') as typeof koffi)
}

/** `undefined` if it is not where it is expected: the loader finds it. */
function compiledPart(ofKoffi: NodeJS.Require): typeof koffi | undefined {
  try {
    const { platform, arch } = process
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
