/** What a cache mode of `-t` and `-T` means. @internal */
export interface CacheMode {
  readonly direct: boolean
  readonly 'no-flush': boolean
  /** Every write is on stable storage before it is acknowledged. */
  readonly writethrough: boolean
}

const MODES: Readonly<Record<string, CacheMode>> = {
  none: { direct: true, 'no-flush': false, writethrough: false },
  off: { direct: true, 'no-flush': false, writethrough: false },
  directsync: { direct: true, 'no-flush': false, writethrough: true },
  writeback: { direct: false, 'no-flush': false, writethrough: false },
  unsafe: { direct: false, 'no-flush': true, writethrough: false },
  writethrough: { direct: false, 'no-flush': false, writethrough: true },
}

/** The cache mode of a name, or undefined. @internal */
export function cacheMode(name: string): CacheMode | undefined {
  return Object.hasOwn(MODES, name) ? MODES[name] : undefined
}
