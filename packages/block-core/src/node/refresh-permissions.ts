import { ChildRole, Permission, type Transaction } from '@blockloom/block-driver'
import type { BlockNode } from './block-node.ts'
import type { Link } from './link.ts'
import { checkConflicts, cumulative, type Grant } from './permissions.ts'

/**
 * Recomputes what every edge below `roots` holds, checks that nobody conflicts, asks protocols to take their locks,
 * and then makes all of it true, or nothing. The caller holds the graph's lock.
 *
 * @throws BlockError `busy` with the two parties and the permission
 * @internal
 */
export async function refreshPermissions(roots: Iterable<BlockNode>): Promise<void> {
  const planned = new Map<Link, Grant>()
  const prepared: Transaction[] = []
  const order = parentsFirst(roots)
  try {
    for (const node of order) {
      const uses = [...node.parentLinks].map((link) => ({ owner: link.owner, as: link.as, ...(planned.get(link) ?? link.wanted(null)) }))
      checkConflicts(node.name, uses)
      const own = cumulative(uses)
      for (const { link } of node.childLinks) if (link !== null) planned.set(link, link.wanted(own))
      const facet = node.instance.permissions
      if (facet !== undefined) prepared.push(await facet.prepare(own.used, own.shared))
    }
  } catch (error) {
    for (const transaction of prepared.reverse()) await transaction.abort()
    throw error
  }
  for (const [link, grant] of planned) link.setGrant(grant)
  for (const transaction of prepared) await transaction.commit()
}

/** What a user who opens a node gets; others may do anything with it that its format can stand. Resizing takes its permission when it happens. @internal */
export function userGrant(readOnly: boolean, noIo: boolean): Grant {
  const read = noIo ? 0 : Permission.CONSISTENT_READ
  return { used: readOnly ? read : read | Permission.WRITE, shared: Permission.ALL }
}

/** A user's edge has no role: it does not derive from a parent. @internal */
export const USER_ROLE = ChildRole.DATA

function parentsFirst(roots: Iterable<BlockNode>): BlockNode[] {
  const order: BlockNode[] = []
  const seen = new Set<BlockNode>()
  const visit = (node: BlockNode): void => {
    if (seen.has(node)) return
    seen.add(node)
    for (const { link } of node.childLinks) if (link !== null) visit(link.target)
    order.push(node)
  }
  for (const node of roots) visit(node)
  return order.reverse()
}
