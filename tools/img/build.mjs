// Bundles the tool for a fast start: one file per command, loaded on demand. Types and the library come from tsc.
import { rmSync } from 'node:fs'
import { build } from 'esbuild'

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
  chunkNames: '[name]-[hash]',
  logLevel: 'warning',
})
