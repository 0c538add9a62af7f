/** A backing file as an image names it. @public */
export interface BackingReference {
  readonly filename: string
  /** Absent: the image does not say. */
  readonly format?: string
}

/** The backing file that the header names. @public */
export interface BackingFacet {
  /** As the header says now, whatever is attached. */
  readonly named: BackingReference | null
  /** Rewrites the header; `null` makes the image stand alone. Absent on read-only instances. */
  readonly change?: (to: BackingReference | null) => Promise<void>
}
