import { BlockError, ChildRole, Permission, permissionNames } from '@blockloom/block-driver'

/** What one parent does with a node, and what it tolerates others doing. Masks of `Permission`. @internal */
export interface Grant {
  readonly used: number
  readonly shared: number
}

/** A use of a node, for the conflict check. @internal */
export interface Use extends Grant {
  /** Who: `node 'top'`, `the user`. */
  readonly owner: string
  /** As what: the child's name. */
  readonly as: string
}

/** What all parents together use, and what every one of them tolerates. @internal */
export function cumulative(uses: Iterable<Grant>): Grant {
  let used = 0
  let shared: number = Permission.ALL
  for (const use of uses) {
    used |= use.used
    shared &= use.shared
  }
  return { used, shared }
}

/** Refuses if one use does what another does not tolerate. @internal */
export function checkConflicts(nodeName: string, uses: readonly Use[]): void {
  for (const a of uses) {
    for (const b of uses) {
      const conflict = a === b ? 0 : a.used & ~b.shared
      if (conflict === 0) continue
      throw new BlockError(
        'busy',
        `Conflicts with use by ${b.owner} as '${b.as}', which does not allow '${permissionNames(conflict).join(', ')}' on ${nodeName}`,
        { errno: 'EPERM', detail: { node: nodeName } },
      )
    }
  }
}

/** Facts about the parent that its children's permissions depend on. @internal */
export interface ParentState {
  readonly writable: boolean
  readonly forceShare: boolean
  readonly noIo: boolean
}

/**
 * What a node needs of a child in a role, given what its own parents use and tolerate; the rules of today's
 * reference (`docs/devel/block-graph`, child roles).
 *
 * @internal
 */
export function childGrant(role: number, parent: ParentState, own: Grant): Grant {
  let used = 0
  let shared = 0
  if (role & ChildRole.FILTERED) {
    used = own.used
    shared = own.shared
  } else if (role & ChildRole.COW) {
    // Only consistency of what is read matters; writing below is tolerated as far as our parents tolerate change.
    used = own.used & Permission.CONSISTENT_READ
    shared = (own.shared & Permission.WRITE ? Permission.WRITE | Permission.RESIZE : 0) | Permission.CONSISTENT_READ | Permission.WRITE_UNCHANGED
  } else {
    used = own.used
    shared = own.shared
    if (role & ChildRole.METADATA) {
      // The format reads its metadata always, and may change it even if nobody writes guest bytes.
      if (!parent.noIo) used |= Permission.CONSISTENT_READ
      if (parent.writable) used |= Permission.WRITE | Permission.RESIZE
      shared &= ~(Permission.WRITE | Permission.RESIZE)
    }
    if (role & ChildRole.DATA) {
      if (own.used & (Permission.WRITE | Permission.WRITE_UNCHANGED) && parent.writable) used |= Permission.RESIZE
      shared &= ~Permission.RESIZE
    }
    shared |= Permission.WRITE_UNCHANGED
  }
  if (!parent.writable) used &= ~(Permission.WRITE | Permission.WRITE_UNCHANGED | Permission.RESIZE)
  if (parent.forceShare) shared = Permission.ALL
  return { used, shared }
}
