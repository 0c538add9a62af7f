import type koffi from 'koffi'

/**
 * The compiled part of koffi, without its loader written in JavaScript, which takes 8 ms: as long as everything else
 * that a short command does.
 *
 * @returns `undefined` if it is not where it is expected: the loader finds it
 * @internal
 */
export function compiledKoffi(): typeof koffi | undefined {
  try {
    const { createRequire } = process.getBuiltinModule('node:module')
    const { platform, arch } = process
    const ofKoffi = createRequire(createRequire(import.meta.url).resolve('koffi'))
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
