import type { Transaction } from '../transaction.ts'

/**
 * For protocols that tell other processes what is done with a file (image locks). Masks of {@link Permission}.
 *
 * @public
 */
export interface PermissionFacet {
  /** The parents need `used` and tolerate others doing `shared`. Refuses with `busy`. */
  prepare(used: number, shared: number): Promise<Transaction>
}
