import { isBlockError, type BlockError } from '@blockloom/block-driver'

/** How a command ends that did not do its work: what is printed after the program's name, and the exit code. @internal */
export class Failure extends Error {
  override readonly name = 'Failure'
  readonly exitCode: number
  /** Printed as it is behind the message; `line`: as a message of its own, with the program's name. */
  readonly hint: string | { readonly line: string }

  constructor(message: string, init: { readonly exitCode?: number; readonly hint?: Failure['hint']; readonly cause?: unknown } = {}) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause })
    this.exitCode = init.exitCode ?? 1
    this.hint = init.hint ?? ''
  }
}

/** Ends a command early, without fault: all that is left to do is to print this. @internal */
export class Answer extends Error {
  override readonly name = 'Answer'
}

/** A mistake in the command line; points to the help. @internal */
export class UsageError extends Failure {
  constructor(message: string) {
    super(message, { hint: "Try 'qemu-img --help' for more information\n" })
  }
}

/** Why work is aborted when the process is asked to end. @internal */
export class Interrupted extends Failure {
  /** @param signal - its name and number */
  constructor(signal: { readonly name: string; readonly number: number }) {
    super(`Interrupted by ${signal.name}`, { exitCode: 128 + signal.number })
  }
}

/** Puts what was being done in front of an error's message; an abort passes through unchanged. @internal */
export function inContext(what: string, error: unknown, exitCode = 1): unknown {
  if (!isBlockError(error)) return error
  return new Failure(`${what}${error.message}`, { cause: error, exitCode, hint: hintOf(error) })
}

/** What an error adds to its message, on a line of its own; empty if it says nothing more. @internal */
export function hintOf({ detail }: BlockError): string {
  const hint = detail['hint']
  return typeof hint === 'string' ? `${hint}\n` : ''
}
