import { isBlockError } from '@blockloom/block-driver'
import { Getopt } from './args/getopt.ts'
import type { Command } from './command.ts'
import { Answer, Failure, UsageError } from './failure.ts'
import { report, type Host } from './host.ts'

/** Commands by name; each is loaded when it is asked for, so that the others cost nothing. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  amend: async () => (await import('./commands/amend.ts')).amend,
  bench: async () => (await import('./commands/bench.ts')).bench,
  bitmap: async () => (await import('./commands/bitmap.ts')).bitmap,
  check: async () => (await import('./commands/check.ts')).check,
  commit: async () => (await import('./commands/commit.ts')).commit,
  compare: async () => (await import('./commands/compare.ts')).compare,
  convert: async () => (await import('./commands/convert.ts')).convert,
  create: async () => (await import('./commands/create.ts')).create,
  info: async () => (await import('./commands/info.ts')).info,
  map: async () => (await import('./commands/map.ts')).map,
  measure: async () => (await import('./commands/measure.ts')).measure,
  rebase: async () => (await import('./commands/rebase.ts')).rebase,
  resize: async () => (await import('./commands/resize.ts')).resize,
  snapshot: async () => (await import('./commands/snapshot.ts')).snapshot,
}

const STANDARD_OPTIONS = [
  { name: 'help', short: 'h', long: 'help' },
  { name: 'version', short: 'V', long: 'version' },
] as const

/**
 * Runs a command line, without the program's name; returns the exit code. Never throws: what goes wrong is printed.
 *
 * @public
 */
export async function run(host: Host, args: readonly string[]): Promise<number> {
  try {
    return await dispatch(host, args)
  } catch (error) {
    return explain(host, error)
  }
}

async function dispatch(host: Host, args: readonly string[]): Promise<number> {
  const getopt = new Getopt(host.program, args, STANDARD_OPTIONS, { stopAtOperand: true })
  for (const { name } of getopt) {
    if (name === 'help') return (await import('./help.ts')).printHelp(host)
    host.out((await import('./version.ts')).versionLines(host.program))
    return 0
  }
  const [name, ...rest] = getopt.operands
  if (name === undefined) throw new UsageError('Not enough arguments')
  if (!Object.hasOwn(COMMANDS, name)) throw new UsageError(`Command not found: ${name}`)
  const command = await COMMANDS[name]!()
  return command.run(host, rest)
}

function explain(host: Host, error: unknown): number {
  if (error instanceof Failure) {
    report(host, error.message)
    if (typeof error.hint === 'string') host.err(error.hint)
    else report(host, error.hint.line)
    return error.exitCode
  }
  if (error instanceof Answer) {
    host.out(error.message)
    return 0
  }
  if (isBlockError(error)) report(host, error.message)
  else report(host, `Unexpected error: ${error instanceof Error ? error.message : String(error)}`)
  return 1
}
