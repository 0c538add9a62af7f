/**
 * A prepared change: everything that can fail has been done. Exactly one of the two is called, and neither may
 * fail.
 *
 * @public
 */
export interface Transaction {
  commit(): void | Promise<void>
  abort(): void | Promise<void>
}
