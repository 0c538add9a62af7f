import { existsSync, mkdirSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { root, type PublishedPackage } from './packages.ts'
import { execute } from './process.ts'

const consumer = path.join(root, 'temp', 'consumer')
const modules = path.join(consumer, 'node_modules')

/**
 * Unpacks the tarballs as a user's node_modules and imports every entry point, at run time and in types with
 * library checks on. Dependencies from the registry are linked to where the workspace has them.
 *
 * @returns what went wrong, nothing if all is well
 * @internal
 */
export async function checkConsumer(packages: readonly PublishedPackage[], tarballs: string): Promise<readonly string[]> {
  rmSync(consumer, { recursive: true, force: true })
  for (const pkg of packages) await unpack(pkg, tarballs)
  link('@types/node', path.join(root, 'node_modules/@types/node'))
  writeFileSync(path.join(consumer, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  const entries = packages.flatMap(entryPoints)
  writeFileSync(path.join(consumer, 'index.mts'), entries.map((entry, index) => `export * as entry${index} from '${entry}'\n`).join(''))
  const problems = await Promise.all([attempt('node', ['index.mts']), attempt('tsc', [...COMPILER, 'index.mts'])])
  return problems.flat()
}

const COMPILER = ['--ignoreConfig', '--noEmit', '--strict', '--target', 'es2024', '--lib', 'es2024,esnext.disposable,dom,dom.asynciterable', '--module', 'nodenext', '--types', 'node']

async function unpack(pkg: PublishedPackage, tarballs: string): Promise<void> {
  const folder = path.join(modules, pkg.manifest.name)
  mkdirSync(folder, { recursive: true })
  const file = `${pkg.manifest.name.replace('@', '').replace('/', '-')}-${pkg.manifest.version}.tgz`
  await execute('tar', ['-xzf', path.join(tarballs, file), '-C', folder, '--strip-components=1'], root)
  for (const required of ['package.json', 'README.md', 'LICENSE']) {
    if (!existsSync(path.join(folder, required))) throw new Error(`${file} has no ${required}`)
  }
  const { dependencies = {}, optionalDependencies = {} } = pkg.manifest
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
    const installed = path.join(pkg.folder, 'node_modules', name)
    if (!name.startsWith('@blockloom/') && name !== 'blockloom' && existsSync(installed)) link(name, installed)
  }
}

function link(name: string, target: string): void {
  const place = path.join(modules, name)
  mkdirSync(path.dirname(place), { recursive: true })
  if (!readdirSync(path.dirname(place)).includes(path.basename(place))) symlinkSync(realpathSync(target), place)
}

function entryPoints({ manifest }: PublishedPackage): readonly string[] {
  return Object.entries(manifest.publishConfig?.exports ?? {})
    .filter(([subpath, target]) => target !== null && !subpath.includes('*') && !subpath.endsWith('.json'))
    .map(([subpath]) => manifest.name + subpath.slice(1))
}

async function attempt(command: string, args: readonly string[]): Promise<readonly string[]> {
  try {
    await execute(command, args, consumer)
    return []
  } catch (error) {
    return [`${command}: ${(error as Error).message}`]
  }
}
