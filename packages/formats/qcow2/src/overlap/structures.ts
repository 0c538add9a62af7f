import type { Qcow2Options } from '../options.ts'

/**
 * What must not be written over, each a bit. If several are in one place, the lowest is reported, as by the reference.
 *
 * @internal
 */
export const STRUCTURE = Object.freeze({
  mainHeader: 1,
  activeL1: 2,
  activeL2: 4,
  refcountTable: 8,
  refcountBlock: 16,
  snapshotTable: 32,
  inactiveL1: 64,
  inactiveL2: 128,
  bitmapDirectory: 256,
  /** Ours: belongs to the bitmap directory. */
  bitmapTable: 512,
  /** Ours: belongs to the main header. */
  encryptionHeader: 1024,
} as const)

/** Names in messages, by bit. */
const NAMES = [
  'qcow2_header', 'active L1 table', 'active L2 table', 'refcount table', 'refcount block', 'snapshot table', 'inactive L1 table',
  'inactive L2 table', 'bitmap directory', 'bitmap table', 'encryption header',
]

/** The options that switch single checks, and what they protect. */
const SWITCHES = [
  ['main-header', STRUCTURE.mainHeader + STRUCTURE.encryptionHeader],
  ['active-l1', STRUCTURE.activeL1],
  ['active-l2', STRUCTURE.activeL2],
  ['refcount-table', STRUCTURE.refcountTable],
  ['refcount-block', STRUCTURE.refcountBlock],
  ['snapshot-table', STRUCTURE.snapshotTable],
  ['inactive-l1', STRUCTURE.inactiveL1],
  ['inactive-l2', STRUCTURE.inactiveL2],
  ['bitmap-directory', STRUCTURE.bitmapDirectory + STRUCTURE.bitmapTable],
] as const

const CONSTANT = new Set<string>(['main-header', 'active-l1', 'refcount-table', 'snapshot-table', 'bitmap-directory'])

/** The structures that the options want to be protected, a mask. Default: the template `cached`. @internal */
export function protectedStructures(options: Qcow2Options): number {
  const given = options['overlap-check'] ?? {}
  const template = given.template ?? 'cached'
  let mask = 0
  for (const [name, bits] of SWITCHES) {
    const inTemplate = template === 'all' || (template === 'cached' && name !== 'inactive-l2') || (template === 'constant' && CONSTANT.has(name))
    if (given[name] ?? inTemplate) mask += bits
  }
  return mask
}

/** The name of the lowest bit of a mask that is not 0. @internal */
export function structureName(mask: number): string {
  return NAMES[31 - Math.clz32(mask & -mask)]!
}
