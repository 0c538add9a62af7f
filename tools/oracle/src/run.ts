import { spawnSync } from 'node:child_process'

/** What a tool printed and how it ended. */
export interface ToolResult {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a tool to its end; never a shell. */
export function run(program: string, args: readonly string[], input?: string): ToolResult {
  const result = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 28, env: { ...process.env, LC_ALL: 'C' }, ...(input === undefined ? {} : { input }) })
  if (result.error !== undefined) throw result.error
  return { status: result.status ?? 128, stdout: result.stdout, stderr: result.stderr }
}

/** The same, but anything but success is an error with all that was printed. */
export function runChecked(program: string, args: readonly string[], input?: string): string {
  const { status, stdout, stderr } = run(program, args, input)
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}\n${stdout}${stderr}`)
  return stdout
}
