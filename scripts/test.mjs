// `npm test`: installs, builds, checks, tests. The last line is `N passed, N failed, N skipped`.
// Cheap checks come first and the first failure ends the run; `npm test -- --keep-going` runs everything.
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { build, install, root, run } from './workspace.mjs'

const keepGoing = process.argv.includes('--keep-going')
const report = path.join(root, 'temp', 'vitest.json')
const totals = { passed: 0, failed: 0, skipped: 0 }

const quietly = (command, ...args) => () => run(command, args, { quiet: true })

const steps = [
  ['build', build],
  ['types of tests', quietly('tsc', '-b', 'tsconfig.tests.json')],
  ['boundaries', quietly('node', 'tools/boundaries/src/main.ts')],
  ['lint', quietly('oxlint', '--quiet')],
  ['unused code', quietly('knip', '--no-config-hints')],
  ['release plan', quietly('node', 'tools/rig/src/release-plan.ts')],
  ['API reports', quietly('node', 'tools/rig/src/api-reports.ts')],
  ['packed packages', quietly('node', 'tools/rig/src/packed.ts')],
]

async function check(name, step) {
  const started = Date.now()
  const { code, output } = await step()
  const seconds = ((Date.now() - started) / 1000).toFixed(1)
  const summary = output.trim().split('\n').at(-1)
  console.log(`${code === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)${code === 0 && summary ? `: ${summary}` : ''}`)
  if (code !== 0) console.error(output)
  return code === 0
}

/** The reference tools that differential tests compare with; without them those tests are skipped. */
async function hasReferenceTools() {
  for (const tool of ['qemu-img', 'qemu-io']) {
    const { code } = await run(tool, ['--version'], { quiet: true }).catch(() => ({ code: 127 }))
    if (code !== 0) return false
  }
  return true
}

/** Counts what vitest reported. A file that failed without a failed test (it did not load) counts as one. */
function count() {
  const { testResults } = JSON.parse(readFileSync(report, 'utf8'))
  for (const file of testResults) {
    let failedHere = 0
    for (const { status } of file.assertionResults) {
      if (status === 'passed') totals.passed++
      else if (status === 'failed') failedHere++
      else totals.skipped++
    }
    totals.failed += file.status === 'failed' ? Math.max(1, failedHere) : failedHere
  }
}

async function test() {
  mkdirSync(path.dirname(report), { recursive: true })
  rmSync(report, { force: true })
  const { code } = await run('vitest', ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`])
  try {
    count()
  } catch (error) {
    console.error(`vitest left no report: ${error.message}`)
  }
  // An error outside of any test (an unhandled rejection) fails the run without failing a test.
  if (code !== 0 && totals.failed === 0) totals.failed++
}

async function main() {
  await install()
  const reference = await hasReferenceTools()
  if (!reference && process.env.BLOCKLOOM_REQUIRE_ORACLE === '1') {
    throw new Error('qemu-img and qemu-io are required (BLOCKLOOM_REQUIRE_ORACLE=1) and were not found')
  }
  for (const [name, step] of steps) {
    if (await check(name, step)) continue
    totals.failed++
    if (!keepGoing) return
  }
  await test()
  if (!reference) {
    console.log(`\nqemu-img or qemu-io was not found: the tests that compare with them are among the ${totals.skipped} skipped.`)
  }
}

try {
  await main()
} catch (error) {
  totals.failed++
  console.error(error.message)
}
console.log(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`)
process.exitCode = totals.failed === 0 ? 0 : 1
