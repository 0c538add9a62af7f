import { isBlockError } from '@blockloom/block-driver'
import { Getopt } from './args/getopt.ts'
import { Answer, Failure, UsageError } from './failure.ts'
import { report, type Host } from './host.ts'

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
  const { COMMANDS } = await import('./commands.ts')
  if (!Object.hasOwn(COMMANDS, name)) throw new UsageError(`Command not found: ${name}`)
  return COMMANDS[name]!.run(host, rest)
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
