/** How an image is amended. @public */
export interface AmendHow {
  /** Progress in arbitrary units; `done` never shrinks, and is `total` at the end. */
  readonly progress: (done: number, total: number) => void
  /** Do what can lose data (the last key slot of an encrypted image). Default false. */
  readonly force?: boolean
}

/** Changing creation options of an existing image. @public */
export interface AmendFacet {
  /**
   * Options are those of `creation.amend`, validated; what is left out stays as it is.
   *
   * A crash in between leaves a valid image with some or all of the changes.
   * @throws BlockError `unsupported` or `invalid` naming the option, before anything is changed
   */
  amend(options: Readonly<Record<string, unknown>>, how: AmendHow): Promise<void>
}
