#!/usr/bin/env node
import { complainOfNode } from './node-version.ts'

const complaint = complainOfNode(process.versions.node)
// Not before: the imports themselves need what older versions do not have.
if (complaint === undefined) await import('./launch.ts')
else {
  console.error(`${process.argv[1]?.split('/').at(-1) ?? 'blockloom-img'}: ${complaint}`)
  process.exitCode = 1
}
