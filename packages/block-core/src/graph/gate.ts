/** Something that an image names, which would be opened if the gate allows it. @public */
export interface GateRequest {
  /** The child slot: `backing`, `data-file`, an extent. */
  readonly slot: string
  /** Driver and name of the image that says so. */
  readonly driver: string
  readonly image: string
  /** As written in the image. */
  readonly filename: string
  /** Resolved against the image's own place. */
  readonly resolved: string
  readonly format: string | undefined
}

/**
 * Decides whether a file named *inside* an image is opened. An image is untrusted input: one that names
 * `/etc/shadow` as its backing file shows it to whoever reads the disk.
 *
 * @public
 */
export type Gate = 'deny' | 'allow' | ((request: GateRequest) => boolean | Promise<boolean>)

/** @internal */
export async function gateAllows(gate: Gate, request: GateRequest): Promise<boolean> {
  if (gate === 'deny') return false
  if (gate === 'allow') return true
  return gate(request)
}
