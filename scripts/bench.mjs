// `npm run bench`: installs, builds, then runs us and the reference tools in turn on the same work.
import { existsSync } from 'node:fs'
import path from 'node:path'
import { build, install, root, run } from './workspace.mjs'

const bench = path.join(root, 'tools/bench/src/main.ts')

try {
  await install()
  const { code, output } = await build()
  if (code !== 0) throw new Error(`the build failed\n${output}`)
  if (!existsSync(bench)) throw new Error('tools/bench has no src/main.ts')
  process.exitCode = (await run('node', [bench, ...process.argv.slice(2)])).code
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}
