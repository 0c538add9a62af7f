/**
 * Where a LUKS header lives: offset 0 is its first byte. The `luks` format gives its file, qcow2 the place that its header
 * extension names. A `ChildHandle` of the driver contract fits `read`.
 *
 * @public
 */
export interface LuksReader {
  /** Fills `into` exactly. */
  read(offset: number, into: Uint8Array): Promise<void>
}

/** The same for changes. @public */
export interface LuksIo extends LuksReader {
  write(offset: number, from: Uint8Array): Promise<void>
  /** What was written before reaches stable storage before what is written after. */
  flush(): Promise<void>
}
