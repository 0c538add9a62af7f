#!/usr/bin/env node
import module from 'node:module'

// Before anything else is loaded: compiled code is kept for the next time. Older versions of Node do not have it.
module.enableCompileCache?.()
await import('./start.ts')
