// Bundles the tool for a fast start: a launcher, and one script with everything. Types and the library come from tsc.
import { createHash } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

/**
 * Node's own modules are fetched when the bundle needs one, without the ES module around it: making that reads every
 * property, and some load whole subsystems. The bundler would copy their properties one by one for each file that
 * imports them, but only those that are not inherited.
 */
const builtins = {
  name: 'builtins',
  setup(build) {
    build.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: 'builtin' }))
    build.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({ contents: `module.exports = Object.create(process.getBuiltinModule(${JSON.stringify(path)}))`, loader: 'js' }))
  },
}

const common = {
  bundle: true,
  write: false,
  platform: 'node',
  target: 'node22.15',
  minify: true,
  // Every character is one byte: V8 reads it without decoding.
  charset: 'ascii',
  legalComments: 'none',
  plugins: [builtins],
  logLevel: 'warning',
}

async function bundle(options) {
  const { outputFiles } = await build({ ...common, ...options })
  return outputFiles[0].text
}

const script = await bundle({
  entryPoints: ['src/start.ts'],
  format: 'cjs',
  // Native: has to be found where it is installed.
  external: ['koffi'],
  define: { 'import.meta.url': '__url' },
  banner: { js: '(function(exports,require,module,__filename,__dirname,__url){' },
  footer: { js: '})' },
})
const name = `blockloom-img-${createHash('sha256').update(script).digest('hex').slice(0, 16)}.cjs`
const launcher = await bundle({ entryPoints: ['src/launcher.ts'], format: 'esm', define: { BUNDLE: JSON.stringify(name) } })

const folder = process.argv[2] ?? 'dist/bin'
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
writeFileSync(join(folder, name), script)
writeFileSync(join(folder, 'blockloom-img.mjs'), launcher, { mode: 0o755 })
