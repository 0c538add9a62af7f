import { processHost } from './process-host.ts'
import { run } from './run.ts'

// Not exit(): what was written to a pipe may still be on its way.
process.exitCode = await run(processHost(process.argv[1] ?? 'blockloom-img'), process.argv.slice(2))
