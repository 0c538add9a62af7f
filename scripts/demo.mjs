// `npm run demo`: installs, builds, then shows the tools at work.
import { existsSync } from 'node:fs'
import path from 'node:path'
import { build, install, readJson, root, run } from './workspace.mjs'

/** The command of `tools/img` as its package.json names it, or undefined while there is none. */
function imgCommand() {
  const { bin } = readJson('tools/img/package.json')
  const target = typeof bin === 'string' ? bin : Object.values(bin ?? {})[0]
  return target === undefined ? undefined : path.join(root, 'tools/img', target)
}

async function prepare() {
  await install()
  console.log('building')
  const { code, output } = await build()
  if (code !== 0) throw new Error(`the build failed\n${output}`)
}

async function show() {
  const img = imgCommand()
  if (img === undefined || !existsSync(img)) throw new Error('tools/img has no command to show')
  const { code } = await run('node', [img, '--version'])
  if (code !== 0) throw new Error(`blockloom-img ended with exit code ${code}`)
}

try {
  await prepare()
  await show()
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}
