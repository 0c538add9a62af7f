import module from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runWithCodeCache } from './code-cache.ts'
import { setUpV8 } from './v8-settings.ts'

// The bundle's file: the build puts its name here. It says what is in it, so that code is never run that belongs to another.
declare const BUNDLE: string

const url = new URL(BUNDLE, import.meta.url)
const path = fileURLToPath(url)
// First: V8 takes no code from a cache that was compiled with other settings.
setUpV8(process.argv[2])
// One cache for each command: they use different parts of the program.
const load = runWithCodeCache(path, `${BUNDLE.replace(/\.cjs$/, '')}-${process.argv[2] ?? ''}`) as BundleFunction
const bundle: { exports: { start?: () => Promise<void> } } = { exports: {} }
load(bundle.exports, module.createRequire(url), bundle, path, dirname(path), url.href)
await bundle.exports.start!()

type BundleFunction = (exports: object, require: NodeJS.Require, module: object, filename: string, dirname: string, url: string) => void
