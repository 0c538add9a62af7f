/** One broken rule: where, and what to do about it. @internal */
export interface Finding {
  /** Path relative to the root, with `:line` where there is one. */
  readonly where: string
  readonly message: string
}
