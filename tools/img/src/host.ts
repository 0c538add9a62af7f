/** What a command needs of the process it runs in; tests bring their own. @public */
export interface Host {
  /** The name that messages begin with. */
  readonly program: string
  /** Writes to standard output. */
  out(text: string): void
  /** Resolves when standard output can take more. */
  drained(): Promise<void>
  /** Writes to standard error. */
  err(text: string): void
  /** Width of the terminal that standard output is; undefined: it is none. */
  readonly columns: number | undefined
  /**
   * Runs work that cleans up after itself when the process is asked to end (SIGINT, SIGTERM); without this it ends at
   * once. The signal aborts with an `Interrupted`.
   */
  interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T>
  /** Milliseconds, from any origin. */
  now(): number
}

/** Writes `program: message`. @internal */
export function report(host: Host, message: string): void {
  host.err(`${host.program}: ${message}\n`)
}

/** Writes `program: warning: message`. @internal */
export function warn(host: Host, message: string): void {
  report(host, `warning: ${message}`)
}
