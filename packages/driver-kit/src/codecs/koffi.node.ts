/** A function of the host, called on this thread or, with a callback as the last argument, on one of libuv's. @internal */
export interface NativeFunction {
  (...args: readonly (number | string | Uint8Array | object)[]): unknown
  async(...args: readonly unknown[]): void
}

/** What is used of the optional package `koffi`. @internal */
export interface Koffi {
  /** `null`: what the process itself exports. */
  load(library: string | null): { func(prototype: string): NativeFunction }
  /** Where a buffer lies in memory. */
  address(buffer: Uint8Array): bigint
}

/**
 * Loads koffi: its compiled part alone where that can be found, because its loader takes three times as long; `null` if
 * it is not installed.
 *
 * @internal
 */
export function loadKoffi(): Koffi | null {
  const require = process.getBuiltinModule('node:module').createRequire(import.meta.url)
  const { platform, arch } = process
  try {
    const beside = process.getBuiltinModule('node:module').createRequire(require.resolve('koffi'))
    return beside(`@koromix/koffi-${platform}-${arch}/${platform}_${arch}/koffi.node`) as Koffi
  } catch {
    try {
      return require('koffi') as Koffi
    } catch {
      return null
    }
  }
}
