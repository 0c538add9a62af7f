import type { Host } from './host.ts'

/** A command of the tool. @internal */
export interface Command {
  /** Does the work; returns the exit code. `args` is what follows the command's name. */
  run(host: Host, args: readonly string[]): Promise<number>
}
