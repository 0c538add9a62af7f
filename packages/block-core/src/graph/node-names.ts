import { BlockError } from '@blockloom/block-driver'

/** Longest node name; `node-name` of the reference has 32 bytes with the NUL. */
const LONGEST = 31

/** Names of nodes: given ones are checked, others are made up (`#block007`). @internal */
export class NodeNames {
  #next = 0

  check(name: string, taken: (name: string) => boolean): void {
    // QAPI identifiers: a letter, then letters, digits, '-', '.' and '_'.
    if (!/^[A-Za-z][A-Za-z0-9._-]*$/.test(name)) throw new BlockError('invalid', `Invalid node-name: '${name}'`, { detail: { option: 'node-name' } })
    if (name.length > LONGEST) throw new BlockError('invalid', 'Node name too long', { detail: { option: 'node-name' } })
    if (taken(name)) throw new BlockError('exists', `Duplicate nodes with node-name='${name}'`, { errno: 'EINVAL', detail: { option: 'node-name' } })
  }

  generate(): string {
    return `#block${String(this.#next++).padStart(3, '0')}`
  }
}
