// `npm run demo`: installs, builds, then shows the tools at work.
import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
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

/** Prints a command as a user would type it, runs it on the pinned runtime, and stops the demo if it fails. */
async function step(img, what, args) {
  console.log(`\n# ${what}\n$ blockloom-img ${args.join(' ')}`)
  const started = performance.now()
  const { code } = await run('node', [img, ...args], { cwd: folder })
  if (code !== 0) throw new Error(`blockloom-img ended with exit code ${code}`)
  console.log(`  (${((performance.now() - started) / 1000).toFixed(2)} s)`)
}

const folder = path.join(root, '.demo')

/** A disk as they are: some of it random, some of it text, a lot of it empty. */
function writeSampleDisk(file, size) {
  const text = Buffer.from('The quick brown block layer jumps over the lazy disk. '.repeat(20_000))
  const out = openSync(file, 'w')
  ftruncateSync(out, size)
  for (let offset = 0, i = 0; offset < size; offset += 1 << 20, i++) {
    if (i % 4 === 0) writeSync(out, randomBytes(1 << 19), 0, 1 << 19, offset)
    else if (i % 4 < 3) writeSync(out, text, 0, 700_000, offset)
  }
  closeSync(out)
}

async function show() {
  const img = imgCommand()
  if (img === undefined || !existsSync(img)) throw new Error('tools/img has no command to show')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  console.log('\n# A raw disk of 512 MiB: random data, text, and holes')
  writeSampleDisk(path.join(folder, 'disk.raw'), 512 << 20)
  await step(img, 'Make a qcow2 image of it', ['convert', '-p', '-O', 'qcow2', 'disk.raw', 'disk.qcow2'])
  await step(img, 'And a compressed one', ['convert', '-p', '-c', '-O', 'qcow2', '-o', 'compression_type=zstd', 'disk.raw', 'small.qcow2'])
  await step(img, 'What is in it', ['info', 'small.qcow2'])
  await step(img, 'Is it consistent', ['check', 'small.qcow2'])
  await step(img, 'An overlay on top, whose backing file is the compressed image', ['create', '-f', 'qcow2', '-b', 'small.qcow2', '-F', 'qcow2', 'overlay.qcow2'])
  await step(img, 'Back to raw, through the overlay', ['convert', '-p', '-O', 'raw', 'overlay.qcow2', 'back.raw'])
  await step(img, 'The same bytes as in the beginning?', ['compare', '-p', '-f', 'raw', '-F', 'raw', 'disk.raw', 'back.raw'])
  console.log('\nThe files are in .demo; the reference tools read them too.')
}

try {
  await prepare()
  await show()
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}
