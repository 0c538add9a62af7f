import { processHost } from './process-host.ts'
import { run } from './run.ts'

/** Runs the process's command line, and sets its exit code. @internal */
export async function start(): Promise<void> {
  // Not exit(): what was written to a pipe may still be on its way.
  process.exitCode = await run(processHost(process.argv[1] ?? 'blockloom-img'), process.argv.slice(2))
}
