// What every command of the workspace needs first: dependencies installed, and the pinned Node in front.
// Plain JavaScript without dependencies: it runs on whatever Node (20 or newer) the machine has.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The root of the repository. */
export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))

const bin = path.join(root, 'node_modules', '.bin')
const stamp = path.join(root, 'node_modules', '.installed')

/** Every package folder, relative to the root, in a fixed order: the lines `- packages/*` of the workspace file. */
export function packageFolders() {
  const workspace = readFileSync(path.join(root, 'pnpm-workspace.yaml'), 'utf8')
  const found = []
  for (const [, group] of workspace.matchAll(/^ +- (\S+)\/\*$/gm)) {
    const folder = path.join(root, group)
    if (!existsSync(folder)) continue
    for (const name of readdirSync(folder).sort()) {
      if (existsSync(path.join(folder, name, 'package.json'))) found.push(`${group}/${name}`)
    }
  }
  return found
}

export function readJson(file) {
  return JSON.parse(readFileSync(path.join(root, file), 'utf8'))
}

/** The environment of everything that is started: the pinned Node and the installed tools come first in PATH. */
function environment(extra = {}, folder = root) {
  const local = path.join(folder, 'node_modules', '.bin')
  const paths = [local, bin, process.env.PATH ?? '']
  return { ...process.env, ...extra, PATH: [...new Set(paths)].join(path.delimiter) }
}

/**
 * Runs a program and waits for it. With `quiet`, its output is kept and returned.
 * @returns {Promise<{ code: number, output: string }>}
 */
export function run(command, args, { quiet = false, cwd = root, env = {}, shell = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      shell,
      env: environment(env, cwd),
      stdio: ['ignore', quiet ? 'pipe' : 'inherit', quiet ? 'pipe' : 'inherit'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text) => (output += text))
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code: code ?? (signal === null ? 1 : 128), output }))
  })
}

function fingerprint() {
  const hash = createHash('sha256')
  const manifests = packageFolders().map((folder) => `${folder}/package.json`)
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json', ...manifests]) {
    hash.update(file).update('\0').update(readFileSync(path.join(root, file))).update('\0')
  }
  return hash.digest('hex')
}

function read(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}

function isInstalled() {
  // pnpm keeps the lock file it installed last; a partial or older installation differs.
  return (
    existsSync(path.join(bin, 'node')) &&
    read(stamp) === fingerprint() &&
    read(path.join(root, 'node_modules/.pnpm/lock.yaml')) === read(path.join(root, 'pnpm-lock.yaml'))
  )
}

/** Installs what the lock file names, with the pnpm that `packageManager` pins. Does nothing when that is done already. */
export async function install() {
  if (isInstalled()) return
  const pnpm = readJson('package.json').packageManager
  console.log(`installing dependencies (${pnpm})`)
  const { code, output } = await run('npx', ['--yes', pnpm, 'install', '--frozen-lockfile'], { quiet: true })
  if (code !== 0) {
    console.error(output)
    throw new Error(`installing dependencies failed with exit code ${code}`)
  }
  mkdirSync(path.dirname(stamp), { recursive: true })
  writeFileSync(stamp, fingerprint())
}

/**
 * Compiles every package, then runs the build script of those that do more than compile.
 * @returns {Promise<{ code: number, output: string }>}
 */
export async function build() {
  const compiled = await run('tsc', ['-b'], { quiet: true })
  if (compiled.code !== 0) return compiled
  for (const folder of packageFolders()) {
    const script = readJson(`${folder}/package.json`).scripts?.build
    if (script === undefined || script === 'tsc -b') continue
    const built = await run(script, [], { quiet: true, shell: true, cwd: path.join(root, folder) })
    if (built.code !== 0) return built
  }
  return compiled
}
