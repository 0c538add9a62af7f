import type { Package } from './workspace.ts'

const DRIVER = ['block-driver', 'driver-kit', 'block-crypto', 'coroutine-scheduler', 'hbitmap', 'throttle']

/** What each package may depend on, by folder or by group; a group that is not named may depend on anything. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  'packages/coroutine-scheduler': [],
  'packages/hbitmap': [],
  'packages/throttle': [],
  'packages/block-driver': [],
  'packages/driver-kit': ['block-driver', 'coroutine-scheduler'],
  'packages/block-crypto': ['block-driver'],
  'packages/driver-testkit': ['block-driver'],
  'packages/block-core': ['block-driver', 'coroutine-scheduler', 'hbitmap', 'throttle'],
  'packages/block-job': ['block-core', 'coroutine-scheduler', 'throttle'],
  'packages/formats': DRIVER,
  'packages/protocols': DRIVER,
  'packages/filters': DRIVER,
  'packages/jobs': ['block-job', 'block-core', 'block-driver', 'hbitmap'],
  'packages/exports': ['block-core', 'block-driver'],
}

const ANYTHING = new Set(['packages/blockloom'])

/** Groups whose packages implement the contract and take it from their user. @internal */
export const CONTRACT_IS_PEER: ReadonlySet<string> = new Set(['packages/formats', 'packages/protocols', 'packages/filters'])

/** May `from` depend on `to`, both in this workspace? A package that no rule names may depend on nothing. @internal */
export function isAllowed(from: Package, to: Package): boolean {
  if (from.group === 'tools' || ANYTHING.has(from.folder)) return true
  const allowed = ARROWS[from.folder] ?? (from.group === 'packages' ? [] : (ARROWS[from.group] ?? []))
  return allowed.some((name) => to.folder === `packages/${name}`)
}

/** May the package's files import `node:*`? Elsewhere only files that end in `.node.ts` may. @internal */
export function speaksToTheHost(pkg: Package): boolean {
  return pkg.group === 'tools' || pkg.group === 'packages/protocols' || ANYTHING.has(pkg.folder)
}
