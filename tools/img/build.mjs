// Bundles the tool for a fast start: one file per command, loaded on demand. Types and the library come from tsc.
import { rmSync } from 'node:fs'
import { build } from 'esbuild'

/**
 * Node's own modules are fetched when the bundle needs one, without the ES module around it: making that reads every
 * property, and some load whole subsystems.
 */
const builtins = {
  name: 'builtins',
  setup(build) {
    build.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: 'builtin' }))
    build.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({ contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)})`, loader: 'js' }))
  },
}

rmSync('dist/bin', { recursive: true, force: true })
await build({
  entryPoints: { 'blockloom-img': 'src/main.ts' },
  outdir: 'dist/bin',
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22.15',
  minify: true,
  legalComments: 'none',
  // Native: has to be found where it is installed.
  external: ['koffi'],
  plugins: [builtins],
  chunkNames: '[name]-[hash]',
  logLevel: 'warning',
})
