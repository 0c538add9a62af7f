/**
 * What a parent does with a child, a bit mask. The values are those of the reference, because image locks on
 * host files carry them (`qemu/qapi/block-core.json`, BlockPermission).
 *
 * @public
 */
export const Permission = {
  /** Reads see consistent data: nobody is in the middle of changing it from outside. */
  CONSISTENT_READ: 0x01,
  WRITE: 0x02,
  /** Writes that do not change what a reader sees. */
  WRITE_UNCHANGED: 0x04,
  RESIZE: 0x08,
  ALL: 0x0f,
} as const

/** What a child is to its parent, a bit mask (`BdrvChildRole`). @public */
export const ChildRole = {
  /** Guest bytes are stored in it. */
  DATA: 0x01,
  /** The format's own structures are stored in it. */
  METADATA: 0x02,
  /** The parent is a filter and shows exactly this child's bytes. */
  FILTERED: 0x04,
  /** Bytes absent in the parent are read from it. */
  COW: 0x08,
  /** The child that a format probes, creates and is named after. */
  PRIMARY: 0x10,
} as const

/** Names of the permissions in a mask, in the reference's words. @public */
export function permissionNames(mask: number): string[] {
  const names: string[] = []
  if (mask & Permission.CONSISTENT_READ) names.push('consistent read')
  if (mask & Permission.WRITE) names.push('write')
  if (mask & Permission.WRITE_UNCHANGED) names.push('write unchanged')
  if (mask & Permission.RESIZE) names.push('resize')
  return names
}
