/** Changing creation options of an existing image. @public */
export interface AmendFacet {
  /** Options are those of `create`, already validated. Progress in arbitrary units. */
  amend(options: Readonly<Record<string, unknown>>, progress: (done: number, total: number) => void): Promise<void>
}
